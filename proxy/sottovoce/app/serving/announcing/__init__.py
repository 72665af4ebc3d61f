"""Who is told from outside that calls can come: whoever looks for the ready file, and systemd."""

from sottovoce.app.serving.announcing.ready import ready
from sottovoce.app.serving.announcing.systemd import Manager, given_sockets

__all__ = ["Manager", "given_sockets", "ready"]
