"""The peer of a connection behind its handshake, which says whatever it likes, right or wrong.

An implementation of its own: keys come from the library's HKDF, and nothing of `transport/records` is used.
"""

import struct
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT, HANDSHAKE, DATA = 21, 22, 23
NAMES: Final = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


class Opened(NamedTuple):
    """A record that was read."""

    kind: int
    content: bytes


def expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label without context (RFC 8446 §7.1)."""
    full = b"tls13 " + label
    info = struct.pack(">HB", length, len(full)) + full + b"\0"
    return HKDFExpand(hashes.SHA384() if len(secret) == 48 else hashes.SHA256(), length, info).derive(secret)


class Direction:
    """Records one way: made, or read."""

    def __init__(self, name: str, secret: bytes, number: int = 0) -> None:
        self._name = name
        self.secret = secret
        self.number = number
        self._key()

    def _key(self) -> None:
        key = expand(self.secret, b"key", 16 if "_128_" in self._name else 32)
        self._aead = ChaCha20Poly1305(key) if "CHACHA" in self._name else AESGCM(key)
        self._iv = expand(self.secret, b"iv", 12)

    def update(self) -> None:
        """Go on with the next generation of keys."""
        self.secret = expand(self.secret, b"traffic upd", len(self.secret))
        self.number = 0
        self._key()

    def _nonce(self) -> bytes:
        number = self.number.to_bytes(12)
        self.number += 1
        return bytes(a ^ b for a, b in zip(self._iv, number, strict=True))

    def record(self, content: bytes, kind: int = DATA, *, padding: int = 0, first: bytes = b"\x17\x03\x03") -> bytes:
        """Make a record; `first` is what its header begins with."""
        return self.sealed(content + bytes([kind]) + bytes(padding), first=first)

    def sealed(self, inner: bytes, *, first: bytes = b"\x17\x03\x03") -> bytes:
        """Make a record around anything."""
        header = first + (len(inner) + 16).to_bytes(2)
        return header + self._aead.encrypt(self._nonce(), inner, header)

    def alert(self, number: int, level: int = 2) -> bytes:
        """Make an alert."""
        return self.record(bytes((level, number)), ALERT)

    def key_update(self, request: int = 0) -> bytes:
        """Make a KeyUpdate, and follow it."""
        record = self.record(bytes((24, 0, 0, 1, request)), HANDSHAKE)
        self.update()
        return record

    def read(self, data: bytes) -> list[Opened]:
        """Open whole records, and follow each KeyUpdate."""
        read: list[Opened] = []
        while data:
            end = 5 + int.from_bytes(data[3:5])
            inner = self._aead.decrypt(self._nonce(), data[5:end], data[:5]).rstrip(b"\0")
            read.append(Opened(inner[-1], inner[:-1]))
            if read[-1].kind == HANDSHAKE and inner[0] == 24:
                self.update()
            data = data[end:]
        return read
