"""The transcript hash of a handshake (protocol §4).

`T(n) = H(prologue ‖ every message so far)`.  The prologue binds the handshake to the outer channel and to the name and
path that the client asked for.  After HelloRetry the first ClientHello is replaced by a synthetic message, as in
RFC 8446 §4.4.1.
"""

import hashlib
from typing import Self

from sottovoce.primitives import sha384

_LABEL = b"sottovoce.v1 prologue"
_SYNTHETIC_HEADER = b"\xfe\x00\x00\x30"


def prologue(binding_type: int, binding: bytes, authority: bytes, path: bytes) -> bytes:
    """`label ‖ u8 binding type ‖ u16 len ‖ binding ‖ u16 len ‖ authority ‖ u16 len ‖ path`.

    `authority` is the Host value, ASCII lower-cased here; `path` the raw request target with its query.
    """
    parts = (binding, authority.lower(), path)
    return _LABEL + binding_type.to_bytes(1) + b"".join(len(part).to_bytes(2) + part for part in parts)


class Transcript:
    """A running hash over a prologue and whole messages."""

    def __init__(self, opening: bytes) -> None:
        """Begin with a prologue."""
        self._opening = opening
        self._hash = hashlib.sha384(opening)

    def add(self, message: bytes) -> None:
        """Append a whole message, `type ‖ length ‖ body`."""
        self._hash.update(message)

    def replace_first(self, client_hello: bytes) -> None:
        """Begin again with the synthetic message that stands for the first ClientHello; HelloRetry comes next."""
        self._hash = hashlib.sha384(self._opening + _SYNTHETIC_HEADER + sha384(client_hello))

    def copy(self) -> Self:
        """Another that goes on from here."""
        made = type(self)(self._opening)
        made._hash = self._hash.copy()  # noqa: SLF001  of our own kind
        return made

    def digest(self) -> bytes:
        """T up to and including the last message added, 48 bytes."""
        return self._hash.digest()
