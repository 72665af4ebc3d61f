"""How the proxy itself does, out of what its parts tell: tokens, certificates, ticket key, signatures, audit log."""

from sottovoce.app.serving.health.health import DROP_SECONDS, Health
from sottovoce.app.serving.health.reports import Reports
from sottovoce.app.serving.health.tokens import LOSS_SECONDS, Tokens, with_load

__all__ = ["DROP_SECONDS", "LOSS_SECONDS", "Health", "Reports", "Tokens", "with_load"]
