"""The certificates that a proxy serves under, kept valid."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sottovoce.app.places import ANCHORS, token_places
from sottovoce.app.serving.health import Reports
from sottovoce.hsm import Pool
from sottovoce.identity import Certificates, load_anchors
from sottovoce.pki import LeafKeeper, read_issuing_certificate
from sottovoce.primitives import Entropy
from sottovoce.settings import Configuration
from sottovoce.transport import Clock, TlsIdentity


def voice_keeper(  # noqa: PLR0913, PLR0917  the parts it needs
    configuration: Configuration, base: Path, pool: Pool, reports: Reports, clock: Clock, entropy: Entropy
) -> Certificates:
    """Make what keeps the voice certificates; there is none yet."""
    config = configuration.identity
    return Certificates(
        pool,
        partial(load_anchors, base / ANCHORS),
        config.names,
        lifetime_seconds=config.certificate_hours * 3600,
        report=partial(reports.certificate, "voice"),
        clock=clock,
        entropy=entropy,
    )


def leaf_keeper(  # noqa: PLR0913, PLR0917  the parts it needs
    configuration: Configuration,
    pool: Pool,
    install: Callable[[TlsIdentity], None],
    reports: Reports,
    clock: Clock,
    entropy: Entropy,
) -> LeafKeeper:
    """Make what keeps the TLS certificate, and gives each to `install`; there is none yet."""
    config = configuration.identity
    return LeafKeeper(
        pool,
        {each.name: read_issuing_certificate(each.issuing) for each in token_places(configuration.hsm)},
        config.names,
        lifetime_seconds=config.leaf_hours * 3600,
        install=install,
        report=partial(reports.certificate, "tls_leaf"),
        clock=clock,
        entropy=entropy,
    )
