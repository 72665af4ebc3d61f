"""Key agreement of the protocol: two hybrid KEMs in TLS's encodings (RFC 10024) and their classical halves.

| group              | client share          | server share          | secret                |
|--------------------|-----------------------|-----------------------|-----------------------|
| X25519MLKEM768     | ek 1184 ‖ x25519 32   | ct 1088 ‖ x25519 32   | ML-KEM 32 ‖ x25519 32 |
| SecP384r1MLKEM1024 | point 97 ‖ ek 1568    | point 97 ‖ ct 1568    | ECDH 48 ‖ ML-KEM 32   |
| X25519             | 32                    | 32                    | 32                    |
| secp384r1          | point 97              | point 97              | 48                    |

Both sides are one-shot: a private key decapsulates once and is dropped, an encapsulation belongs to one message.  The
library takes no randomness, so a `Kem` is handed to the protocol machine as an object and tests replay recorded ones.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.primitives.errors import ApiMisuse, IllegalShare
from sottovoce.primitives.secret import Secret, wipe_bytes

_X25519_BYTES = 32
_POINT_BYTES = 97
_UNCOMPRESSED = 0x04


class Group(IntEnum):
    """Key-agreement groups, by their TLS code points."""

    X25519MLKEM768 = 0x11EC
    SECP384R1MLKEM1024 = 0x11ED
    X25519 = 0x001D
    SECP384R1 = 0x0018

    @property
    def is_hybrid(self) -> bool:
        """Whether a post-quantum KEM takes part."""
        return self in {Group.X25519MLKEM768, Group.SECP384R1MLKEM1024}


CLIENT_SHARE_BYTES = {
    Group.X25519MLKEM768: 1184 + 32,
    Group.SECP384R1MLKEM1024: 97 + 1568,
    Group.X25519: 32,
    Group.SECP384R1: 97,
}
SERVER_SHARE_BYTES = {
    Group.X25519MLKEM768: 1088 + 32,
    Group.SECP384R1MLKEM1024: 97 + 1568,
    Group.X25519: 32,
    Group.SECP384R1: 97,
}


class KeyShare(Protocol):
    """The client's half of an agreement: a public share and, until used, its private part."""

    @property
    def group(self) -> Group:
        """The group this share belongs to."""
        ...

    @property
    def public(self) -> bytes:
        """The share to send."""
        ...

    def finish(self, server_share: bytes) -> Secret:
        """Compute the shared secret and drop the private part.  Raises IllegalShare; works once."""
        ...

    def erase(self) -> None:
        """Drop the private part unused."""
        ...


class Kem(Protocol):
    """Makes client shares and answers them."""

    def generate(self, group: Group) -> KeyShare:
        """Make a fresh client share."""
        ...

    def encapsulate(self, group: Group, client_share: bytes) -> tuple[bytes, Secret]:
        """Answer a client share: (server share, shared secret).  Raises IllegalShare."""
        ...


_Exchange = Callable[[bytes], bytes]
"""Takes the peer's part of a share and gives that half of the secret; raises ValueError on a bad part."""


def _x25519_pair() -> tuple[bytes, _Exchange]:
    private = x25519.X25519PrivateKey.generate()

    def exchange(peer: bytes) -> bytes:
        # The library refuses an all-zero result (RFC 7748 §6.1) with ValueError.
        return private.exchange(x25519.X25519PublicKey.from_public_bytes(peer))

    return private.public_key().public_bytes_raw(), exchange


def _p384_pair() -> tuple[bytes, _Exchange]:
    private = ec.generate_private_key(ec.SECP384R1())

    def exchange(peer: bytes) -> bytes:
        if len(peer) != _POINT_BYTES or peer[0] != _UNCOMPRESSED:
            raise ValueError("a point must be uncompressed")
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), peer)
        return private.exchange(ec.ECDH(), point)

    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), exchange


def _mlkem_key(group: Group) -> mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey:
    if group is Group.X25519MLKEM768:
        return mlkem.MLKEM768PrivateKey.generate()
    return mlkem.MLKEM1024PrivateKey.generate()


def _classical_pair(group: Group) -> tuple[bytes, _Exchange]:
    return _x25519_pair() if group in {Group.X25519MLKEM768, Group.X25519} else _p384_pair()


def _split(group: Group, share: bytes) -> tuple[bytes, bytes]:
    """Split a share into (classical part, ML-KEM part); the order on the wire differs by group (RFC 10024)."""
    if group is Group.X25519MLKEM768:
        return share[-_X25519_BYTES:], share[:-_X25519_BYTES]
    if group is Group.SECP384R1MLKEM1024:
        return share[:_POINT_BYTES], share[_POINT_BYTES:]
    return share, b""


def _join(group: Group, classical: bytes, quantum: bytes) -> bytes:
    return quantum + classical if group is Group.X25519MLKEM768 else classical + quantum


def _join_secret(group: Group, classical: bytes, quantum: bytes) -> Secret:
    """Join two halves in the group's order and overwrite what the library gave us."""
    try:
        return Secret.take("hybrid", _join(group, classical, quantum))
    finally:
        wipe_bytes(classical)
        wipe_bytes(quantum)


class _SystemKeyShare:
    """A client share made with the library's own randomness."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._exchange: _Exchange | None
        classical_public, self._exchange = _classical_pair(group)
        self._mlkem = _mlkem_key(group) if group.is_hybrid else None
        quantum_public = self._mlkem.public_key().public_bytes_raw() if self._mlkem else b""
        self.public = _join(group, classical_public, quantum_public)

    def finish(self, server_share: bytes) -> Secret:
        """Compute the shared secret and drop the private part.  Raises IllegalShare; works once."""
        exchange, private = self._exchange, self._mlkem
        self.erase()
        if exchange is None:
            raise ApiMisuse("a key share was used twice")
        if len(server_share) != SERVER_SHARE_BYTES[self.group]:
            raise IllegalShare(f"a server share of {self.group.name} has the wrong length")
        classical_part, quantum_part = _split(self.group, server_share)
        classical = b""
        try:
            classical = exchange(classical_part)
            quantum = private.decapsulate(quantum_part) if private else b""
        except (ValueError, InvalidKey) as error:
            wipe_bytes(classical)
            raise IllegalShare(f"a server share of {self.group.name} is invalid") from error
        return _join_secret(self.group, classical, quantum)

    def erase(self) -> None:
        """Drop the private part; the library cleanses it."""
        self._exchange = None
        self._mlkem = None


class SystemKem:
    """Key agreement with fresh randomness of the cryptographic library."""

    def generate(self, group: Group) -> KeyShare:
        """Make a fresh client share of `group`."""
        return _SystemKeyShare(group)

    def encapsulate(self, group: Group, client_share: bytes) -> tuple[bytes, Secret]:
        """Answer `client_share`: (server share, shared secret).  Raises IllegalShare.

        The ML-KEM key is checked as FIPS 203 §7.2 demands before it is used.
        """
        if len(client_share) != CLIENT_SHARE_BYTES[group]:
            raise IllegalShare(f"a client share of {group.name} has the wrong length")
        classical_part, quantum_part = _split(group, client_share)
        classical_public, exchange = _classical_pair(group)
        classical = b""
        try:
            classical = exchange(classical_part)
            quantum, ciphertext = _encapsulate(group, quantum_part) if group.is_hybrid else (b"", b"")
        except (ValueError, InvalidKey) as error:
            wipe_bytes(classical)
            raise IllegalShare(f"a client share of {group.name} is invalid") from error
        return _join(group, classical_public, ciphertext), _join_secret(group, classical, quantum)


def _encapsulate(group: Group, encapsulation_key: bytes) -> tuple[bytes, bytes]:
    """Give (secret, ciphertext), in that order, as the library does."""
    if group is Group.X25519MLKEM768:
        return mlkem.MLKEM768PublicKey.from_public_bytes(encapsulation_key).encapsulate()
    return mlkem.MLKEM1024PublicKey.from_public_bytes(encapsulation_key).encapsulate()
