"""Looks at a TLS server without believing it: what it negotiates and shows, whoever vouches for it.

For people who ask what is there (`sottovoce inspect`, `doctor`).  No call is made over what was not checked.
"""

from typing import NamedTuple

from OpenSSL import SSL

from sottovoce.transport.openssl import PqPolicy, TlsContext, probe_context
from sottovoce.transport.tls import TlsCore


class HandshakeSeen(NamedTuple):
    """What came of a TLS handshake."""

    version: str
    group: str
    cipher: str
    chain: tuple[bytes, ...]
    """DER, the server's own certificate first."""


def probing_context(host: str) -> TlsContext:
    """Give a client's settings that take every certificate; the groups offered are those of `pq = prefer`."""
    return probe_context(PqPolicy.PREFER.groups, host)


def handshake_seen(core: TlsCore) -> HandshakeSeen:
    """Tell of a handshake that is complete."""
    return HandshakeSeen(core.version, core.group, core.cipher, core.peer_chain_der())


def openssl_version() -> str:
    """Give the version of the OpenSSL that TLS runs on: `4.0.3`."""
    words = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace").split()
    return words[1] if len(words) > 1 else "unknown"
