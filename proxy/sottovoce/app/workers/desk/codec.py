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
    if len(packed) > MAX_FRAME_BYTES:
        text = f"a {kind} of {len(packed)} bytes is larger than a frame may be"
        raise DeskBroken(text)
    try:
        return len(packed).to_bytes(_LENGTH_BYTES) + packed
    finally:
        wipe_bytes(packed)


class FrameReader:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._buffer = bytearray()

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing has come of a frame that is not complete."""
        return not self._buffer

    def forget(self) -> None:
        """Overwrite what has come of a frame that is not complete, and never will be: no more may be received."""
        self._buffer[:] = bytes(len(self._buffer))

    def receive(self, data: bytes) -> list[Frame]:
        """Take bytes as they come; give the frames that are complete, whose bodies the caller overwrites.

        Raises DeskBroken, and is of no more use then.
        """
        self._buffer += data
        frames: list[Frame] = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES])
            if length > MAX_FRAME_BYTES:
                text = f"a frame of {length} bytes was announced on a desk"
                raise DeskBroken(text)
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            with memoryview(self._buffer) as view:
                frames.append(_decoded(view[_LENGTH_BYTES:end]))
                view[:end] = bytes(end)
            del self._buffer[:end]
        return frames


def _decoded(packed: memoryview) -> Frame:
    whole = bytes(packed)
    try:
        packed_frame = msgspec.msgpack.decode(whole, type=_Packed)
        return Frame(packed_frame.kind, packed_frame.number, bytes(packed_frame.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "what came over a desk is no frame"
        raise DeskBroken(text) from None
    finally:
        wipe_bytes(whole)
