"""Frames of a desk, the socketpair between the supervisor and a worker.  Pure: bytes in, frames out.

    length u32 ‖ msgpack [kind, number, body]

A told message has number 0; a question has a number of its sender's, which its answer repeats.  `body` is the message's
own msgpack.  Whatever else stands behind these three, and fields of a message that its reader does not know, are passed
over; a kind that is not known is no fault.  So a supervisor of the next version can speak with a worker of this one.

A message may hold a secret: whoever reads or writes a frame overwrites what it was in on the way.
"""

from typing import Final

import msgspec

from sottovoce.primitives import SottovoceError, lend_secret, wipe_bytes

MAX_FRAME_BYTES: Final = 1 << 29
"""Chosen: who may call is told in one frame, with whatever else a worker begins with: four files of 64 MiB at most."""
_LENGTH_BYTES: Final = 4


class DeskBroken(SottovoceError):
    """What came over a desk is no frame: the other end is no worker or supervisor of ours."""


class Frame(msgspec.Struct, frozen=True):
    """One message that has come."""

    kind: str
    number: int
    body: bytes
    """No other copy of it stays: whoever has read it overwrites it."""


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    number: int
    body: msgspec.Raw


def encode_frame(kind: str, number: int, message: msgspec.Struct) -> bytes:
    """Make a frame; whoever sends it overwrites it then.  Raises DeskBroken for what is too large."""
    body = msgspec.msgpack.encode(message, enc_hook=lend_secret)
    packed = msgspec.msgpack.encode(_Packed(kind, number, msgspec.Raw(body)))
    wipe_bytes(body)
    try:
        if len(packed) > MAX_FRAME_BYTES:
            text = f"a {kind} of {len(packed)} bytes is larger than a frame may be"
            raise DeskBroken(text)
        return len(packed).to_bytes(_LENGTH_BYTES) + packed
    finally:
        wipe_bytes(packed)


class FrameReader:
    """Cuts a stream into frames.

    Each is gathered in a buffer of its own size: one that grew would leave what was in it where it was before.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._head = bytearray()
        self._buffer: bytearray | None = None
        self._filled = 0

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing has come of a frame that is not complete."""
        return not self._head

    def forget(self) -> None:
        """Overwrite what has come of a frame that is not complete, and never will be: no more may be received."""
        if self._buffer is not None:
            _wipe(self._buffer)

    def receive(self, data: bytes) -> list[Frame]:
        """Take bytes as they come; give the frames that are complete, whose bodies the caller overwrites.

        Raises DeskBroken, and is of no more use then.
        """
        frames: list[Frame] = []
        with memoryview(data) as come:
            at = 0
            while at < len(come):
                at += self._take_head(come[at:]) if self._buffer is None else self._take_rest(come[at:], self._buffer)
                if self._buffer is not None and self._filled == len(self._buffer):
                    frames.append(_decoded(self._buffer))
                    self._buffer, self._filled = None, 0
                    self._head.clear()
        return frames

    def _take_head(self, come: memoryview) -> int:
        """Take bytes of a length, and make room for its frame when it is complete; gives how many."""
        taken = come[: _LENGTH_BYTES - len(self._head)]
        self._head += taken
        if len(self._head) == _LENGTH_BYTES:
            length = int.from_bytes(self._head)
            if length > MAX_FRAME_BYTES:
                text = f"a frame of {length} bytes was announced on a desk"
                raise DeskBroken(text)
            self._buffer = bytearray(length)
        return len(taken)

    def _take_rest(self, come: memoryview, buffer: bytearray) -> int:
        """Take bytes of a frame; gives how many."""
        taken = come[: len(buffer) - self._filled]
        buffer[self._filled : self._filled + len(taken)] = taken
        self._filled += len(taken)
        return len(taken)


def _decoded(packed: bytearray) -> Frame:
    """Read a frame, and overwrite what it was in."""
    try:
        frame = msgspec.msgpack.decode(packed, type=_Packed)
        return Frame(frame.kind, frame.number, bytes(frame.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "what came over a desk is no frame"
        raise DeskBroken(text) from None
    finally:
        _wipe(packed)


def _wipe(buffer: bytearray) -> None:
    buffer[:] = bytes(len(buffer))
