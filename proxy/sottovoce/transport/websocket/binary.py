"""Whole messages in one frame, read (binary ones) and written without the core: what a call consists of.

The core takes 3 µs to read and as long to write one; this takes a third (measured, ratios hold).  Not here: every other
frame, and whatever is wrong with one (`messages` gives those to the core).  Pure but for the masking keys.
"""

import os
import secrets
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # where the library has no compiled part
    from websockets.utils import apply_mask

BINARY_FRAME: Final = 0x82
"""First byte of a whole binary message: FIN, no reserved bit, opcode 2 (RFC 6455 §5.2)."""
PING_FRAME: Final = 0x89
PONG_FRAME: Final = 0x8A
"""First bytes of a ping and of its answer, likewise (§5.5)."""
SHORT_SIZES: Final = 126
"""Payloads of fewer bytes have their size in one byte; a ping's is no longer."""
_MASKED: Final = 0x80
_VOICE_SIZES: Final = 1_500
_LONG_SIZES: Final = 65_536
_FIN: Final = 0x80
_OPCODES: Final = frozenset({0, 1, 2, 8, 9, 10})
_CONTROLS: Final = 8
_KEY_BYTES: Final = 4
_KEYS_AT_ONCE: Final = 256
_keys: Final[list[bytes]] = []
"""Masking keys that nobody has had yet, for all connections of the process, in whichever thread."""
if hasattr(os, "register_at_fork"):  # where there is no fork, there is none to have the same keys
    os.register_at_fork(after_in_child=_keys.clear)
_HEADS: Final = [bytes((BINARY_FRAME, size)) for size in range(SHORT_SIZES)] + [
    bytes((BINARY_FRAME, SHORT_SIZES, *size.to_bytes(2))) for size in range(SHORT_SIZES, _VOICE_SIZES)
]
_MASKED_HEADS: Final = [bytes((head[0], _MASKED | head[1])) + head[2:] for head in _HEADS]
"""By the message's length: the heads of a server's frames and of a client's.  Making them costs twice as much."""
_TEXT_FRAME: Final = b"\x81"
"""First byte of a whole text (opcode 1)."""
_PONG: Final = bytes((PONG_FRAME,))

__all__ = [
    "BINARY_FRAME",
    "PING_FRAME",
    "PONG_FRAME",
    "SHORT_SIZES",
    "apply_mask",
    "as_pong",
    "as_text",
    "frame_extent",
    "is_unsound",
    "masked_frame",
    "unmasked_frame",
]


def frame_extent(data: bytes, at: int) -> tuple[int, int] | None:
    """Give where the payload of the frame at `at` begins and how long it is; None while its head is not all there.

    A masking key, if there is one, stands in the four bytes before the payload.
    """
    there = len(data) - at
    if there < 2:  # noqa: PLR2004  RFC 6455 §5.2
        return None
    second = data[at + 1]
    size, head = second & 0x7F, 2
    if size < SHORT_SIZES:
        pass
    elif size == SHORT_SIZES:
        head = 4
        size = int.from_bytes(data[at + 2 : at + 4])
    else:
        head = 10
        size = int.from_bytes(data[at + 2 : at + 10])
    if second & _MASKED:
        head += _KEY_BYTES
    return (at + head, size) if there >= head else None


def is_unsound(start: bytes, *, is_masked: bool) -> bool:
    """Whether the first bytes of a frame, two or fewer, show that it must be refused whatever follows (§5.2, §5.5)."""
    if not start:
        return False
    opcode = start[0] & 0x0F
    if start[0] & 0x70 or opcode not in _OPCODES:
        return True
    is_control = opcode >= _CONTROLS
    if len(start) > 1 and (start[1] >> 7 != is_masked or (is_control and start[1] & 0x7F >= SHORT_SIZES)):
        return True
    return is_control and start[0] < _FIN


def unmasked_frame(message: bytes) -> bytes | None:
    """Give a server's frame for a message; None for one that is too long for this module."""
    size = len(message)
    if size < _VOICE_SIZES:
        return _HEADS[size] + message
    return b"\x82\x7e" + size.to_bytes(2) + message if size < _LONG_SIZES else None


def as_text(frame: bytes) -> bytes:
    """Give a frame with a binary message in it as one with a text."""
    return _TEXT_FRAME + frame[1:]


def as_pong(frame: bytes) -> bytes:
    """Give a frame with a binary message in it, of fewer than 126 bytes, as the answer to a ping with that payload."""
    return _PONG + frame[1:]


def masked_frame(message: bytes) -> bytes | None:
    """Give a client's frame for a message, with a key of its own that nobody can guess (RFC 6455 §5.3).

    None for a message that is too long for this module.
    """
    size = len(message)
    if size < _VOICE_SIZES:
        head = _MASKED_HEADS[size]
    elif size < _LONG_SIZES:
        head = b"\x82\xfe" + size.to_bytes(2)
    else:
        return None
    try:
        key = _keys.pop()
    except IndexError:
        key, *more = _fresh_keys()
        _keys.extend(more)
    return head + key + apply_mask(message, key)


def _fresh_keys() -> list[bytes]:
    fresh = secrets.token_bytes(_KEY_BYTES * _KEYS_AT_ONCE)
    return [fresh[at : at + _KEY_BYTES] for at in range(0, len(fresh), _KEY_BYTES)]
