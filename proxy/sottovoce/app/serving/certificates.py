"""The certificates that a proxy serves under, kept valid, and each listener's TLS settings made of them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from sottovoce.app.places import ANCHORS, token_places
from sottovoce.app.serving.health import Reports
from sottovoce.hsm import HsmConfig, Pool
from sottovoce.identity import Certificates, IdentityConfig, load_anchors
from sottovoce.pki import LeafKeeper, read_issuing_certificate
from sottovoce.primitives import Entropy
from sottovoce.transport import Clock, CurrentContext, PqPolicy, TlsIdentity, self_test, server_context


class TlsPolicy(msgspec.Struct, frozen=True):
    """What a listener asks of TLS."""

    pq: PqPolicy
    request_client_certificate: bool
    """Where a CA for clients is configured: some browsers ask their user when a server does."""


class TlsContexts:
    """Every listener's TLS settings, made anew with each certificate and each policy."""

    def __init__(self, policies: Mapping[str, TlsPolicy]) -> None:
        """Take each listener's policy, by its name."""
        self.contexts: dict[str, CurrentContext] = {}
        self._policies = policies
        self._identity: TlsIdentity | None = None

    def install(self, identity: TlsIdentity) -> None:
        """Take a certificate; the first time, prove that each listener negotiates what its policy says."""
        self._identity = identity
        for name, policy in self._policies.items():
            context = server_context(
                identity, pq=policy.pq, request_client_certificate=policy.request_client_certificate
            )
            if name in self.contexts:
                self.contexts[name].replace(context)
            else:
                self_test(context)
                self.contexts[name] = CurrentContext(context)

    def reconfigure(self, policies: Mapping[str, TlsPolicy]) -> None:
        """Take other policies for the same listeners; connections that exist keep what they have."""
        self._policies = policies
        if self._identity is not None:
            self.install(self._identity)


def certificate_keepers(  # noqa: PLR0913, PLR0917  the parts they need
    config: IdentityConfig,
    hsm: HsmConfig,
    base: Path,
    pool: Pool,
    tls: TlsContexts,
    reports: Reports,
    clock: Clock,
    entropy: Entropy,
) -> tuple[LeafKeeper, Certificates]:
    """Make what keeps the TLS certificate and the voice certificates; neither has one yet."""
    leaf = LeafKeeper(
        pool,
        {each.name: read_issuing_certificate(each.issuing) for each in token_places(hsm)},
        config.names,
        lifetime_seconds=config.leaf_hours * 3600,
        install=tls.install,
        report=partial(reports.certificate, "tls_leaf"),
        clock=clock,
        entropy=entropy,
    )
    voice = Certificates(
        pool,
        partial(load_anchors, base / ANCHORS),
        config.names,
        lifetime_seconds=config.certificate_hours * 3600,
        report=partial(reports.certificate, "voice"),
        clock=clock,
        entropy=entropy,
    )
    return leaf, voice
