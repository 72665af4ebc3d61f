"""Each listener's TLS settings, made of the proxy's certificate and the listener's policy."""

from collections.abc import Mapping

import msgspec

from sottovoce.settings import Configuration
from sottovoce.transport import CurrentContext, PqPolicy, RecordLayer, TlsIdentity, self_test, server_context


class TlsPolicy(msgspec.Struct, frozen=True):
    """What a listener asks of TLS."""

    pq: PqPolicy
    records: RecordLayer
    request_client_certificate: bool
    """Where a CA for clients is configured: some browsers ask their user when a server does."""


def tls_policies(configuration: Configuration) -> dict[str, TlsPolicy]:
    """Give each listener's policy, by its name."""
    knows_certificates = bool(configuration.clients.ca_file)
    listeners = configuration.all_listeners().items()
    return {name: TlsPolicy(each.pq, each.records, knows_certificates) for name, each in listeners}


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
                identity,
                pq=policy.pq,
                records=policy.records,
                request_client_certificate=policy.request_client_certificate,
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
