"""Before serving: what this process does must be what its policy says.

A real handshake in memory against the very context that will serve, its negotiated group asserted; and a refusal of
the environment variables by which OpenSSL would take orders from somebody else.
"""

from collections.abc import Mapping
from typing import Final

from sottovoce.transport.errors import SelfTestFailed, TlsError, TransportMisconfigured
from sottovoce.transport.openssl import PqPolicy, RecordLayer, TlsContext, probe_context
from sottovoce.transport.records import RecordCore
from sottovoce.transport.tls import TlsCore

_HYBRID: Final = "X25519MLKEM768"
_CLASSICAL: Final = "X25519"
_LAZY: Final = f"{_CLASSICAL}:{_HYBRID}"
"""A client that can do the hybrid and sends a classical share only: it must be asked again."""

_EXPECTED: Final[Mapping[PqPolicy, tuple[tuple[str, str | None], ...]]] = {
    PqPolicy.REQUIRE: ((_HYBRID, _HYBRID), (_LAZY, _HYBRID), (_CLASSICAL, None)),
    PqPolicy.PREFER: ((_HYBRID, _HYBRID), (_LAZY, _HYBRID), (_CLASSICAL, _CLASSICAL)),
    PqPolicy.OFF: ((_HYBRID, None), (_LAZY, _CLASSICAL), (_CLASSICAL, _CLASSICAL)),
}
"""For each policy: what a client offers, and the group that must come of it; None for a refusal."""

_FORBIDDEN_VARIABLES: Final = ("OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE")


def self_test(context: TlsContext) -> str:
    """Shake hands with a server's context in memory; give the group that a capable client will get.

    Raises `SelfTestFailed` if any of the policy's cases ends otherwise than promised, or without the records that the
    context's word asks for.  Takes a few milliseconds.
    A context that demands client certificates cannot be tested so: make one without for the test.
    """
    for offer, expected in _EXPECTED[context.pq]:
        group = _negotiate(context, offer)
        if group != expected:
            raise SelfTestFailed(
                f"TLS self-test: under pq = {context.pq.value} a client that offers {offer} got {group or 'a refusal'}"
                f" and not {expected or 'a refusal'}: install the versions that requirements.lock names"
            )
    return _CLASSICAL if context.pq is PqPolicy.OFF else _HYBRID


def refuse_tls_environment(environment: Mapping[str, str], *, allowed: bool) -> None:
    """Raise `TransportMisconfigured` when a variable is set that could weaken or spy on TLS, unless `allowed`."""
    for name in _FORBIDDEN_VARIABLES:
        if environment.get(name) and not allowed:
            raise TransportMisconfigured(
                f"the environment variable {name} is set, which changes or records TLS from outside: unset it,"
                " or allow it in the configuration"
            )


def _negotiate(context: TlsContext, offer: str) -> str | None:
    """Shake hands as a client that offers `offer`; give the group, None if either end refused."""
    client, server = TlsCore(probe_context(offer)), TlsCore(context)
    try:
        return _shake_hands(context, client, server)
    except TlsError:
        return None
    finally:
        client.release()
        server.release()


def _shake_hands(context: TlsContext, client: TlsCore, server: TlsCore) -> str:
    while not (client.handshake_complete and server.handshake_complete):
        client.receive(server.to_send())
        server.receive(client.to_send())
    if context.records is RecordLayer.OWN and not isinstance(server.records, RecordCore):
        raise SelfTestFailed(
            "TLS self-test: OpenSSL's handshake could not be handed over to records of our own: install the versions"
            ' that requirements.lock names, or set records = "openssl" at the listener'
        )
    return client.group if client.version == "TLSv1.3" and client.group == server.group else "no TLS 1.3"
