"""`Secret`, the only place where key material lives.

A `Secret` owns a mutable buffer that can be overwritten, shows a name and a length instead of its value, refuses to be
copied, pickled or hashed, and compares in constant time.  `expose()` hands out the live buffer; only `primitives` and
`hsm.process` call it.

Some library calls return key material as `bytes`, which Python regards as immutable.  `Secret.take` copies such a
result and then overwrites the original in place (`wipe_bytes`), so that freed heap memory does not keep it.  That is
safe only for an object which nobody else refers to: the results of a KEM, a key agreement or an unseal.
"""

import ctypes
import hmac
from typing import NoReturn, Self

_BYTES_HEADER = bytes.__basicsize__ - 1
"""CPython puts the content of a bytes object behind its header; `test_secret` fails where that is not so."""

_SHARED_BYTES = 1
"""CPython shares empty and one-byte objects between all users: these are never overwritten."""


def wipe_bytes(value: bytes) -> None:
    """Overwrite `value` with zeros, in place.  The caller is its only user and will not look at it again."""
    if len(value) > _SHARED_BYTES:
        ctypes.memset(id(value) + _BYTES_HEADER, 0, len(value))


class Secret:
    """Key material with a name.  Use it in a `with` block, or call `wipe()` where its owner lets go of it."""

    __slots__ = ("_buffer", "name")
    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __init__(self, name: str, value: bytes | bytearray) -> None:
        """Copy `value`; whoever made it stays responsible for the original."""
        self.name = name
        self._buffer = bytearray(value)

    @classmethod
    def take(cls, name: str, value: bytes) -> Self:
        """Move a library's result into a secret: copy it, then overwrite the original."""
        try:
            return cls(name, value)
        finally:
            wipe_bytes(value)

    @classmethod
    def blank(cls, name: str, length_bytes: int) -> Self:
        """Make a zero-filled secret for a call that writes into our buffer."""
        return cls(name, bytearray(length_bytes))

    def expose(self) -> bytearray:
        """Give the live buffer.  Only `primitives` and `hsm.process` may call this."""
        return self._buffer

    def copy_for_sealing(self) -> bytes:
        """Give a copy for a plaintext that is sealed at once (a bearer token); wipe that with `wipe_bytes`."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the value with zeros.  The length stays; wiping twice is harmless."""
        self._buffer[:] = bytes(len(self._buffer))

    @property
    def is_wiped(self) -> bool:
        """Whether only zeros are left."""
        return not any(self._buffer)

    def __len__(self) -> int:
        return len(self._buffer)

    def __repr__(self) -> str:
        return f"<Secret {self.name}, {len(self._buffer)} bytes>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._buffer, other._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"secret {self.name} must not be pickled or copied")

    def __getstate__(self) -> NoReturn:
        self.__reduce__()

    def __copy__(self) -> NoReturn:
        self.__reduce__()

    def __deepcopy__(self, _: object) -> NoReturn:
        self.__reduce__()


def lend_secret(value: object) -> bytearray:
    """Give an encoder (msgspec's `enc_hook`) the live buffer of a `Secret`: what it encodes is the caller's to wipe."""
    if isinstance(value, Secret):
        return value.expose()
    raise NotImplementedError(type(value).__name__)


def take_secret(kind: type, value: object) -> Secret:
    """Make a `Secret` of what a decoder (msgspec's `dec_hook`) read, and overwrite that."""
    if kind is Secret and isinstance(value, bytes):
        return Secret.take("decoded", value)
    raise NotImplementedError(kind.__name__)
