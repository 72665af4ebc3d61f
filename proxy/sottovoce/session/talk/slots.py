"""Padding class 2: one record of one size for each frame duration, whatever is said (protocol §9).

Frames wait here, in the order in which they were said, and each slot takes one; an empty slot carries cover.  A sender
that wakes late sends a record for each slot that has passed, at most `SLOT_CATCH_UP`, and leaves the others out: such a
gap tells that the machine was busy, and nothing of what was said.
"""

from collections import deque

from sottovoce.wire import SLOT_CATCH_UP, SLOT_QUEUE_FRAMES, Codec, FrameType, frames

_COVER = (FrameType.COVER, b"")


class Slots:
    """The clock of one sender's slots and what waits for them."""

    __slots__ = ("_began_at", "_has_audio", "_index", "_seconds", "_waiting", "milliseconds", "plaintext_bytes")

    def __init__(self, codec: Codec, frame_milliseconds: int, now: float) -> None:
        """Begin with a slot at once; `codec` is the one this side sends."""
        self._began_at = now
        self._index = 0
        self._seconds = frame_milliseconds / 1000
        self._waiting: deque[tuple[FrameType, bytes]] = deque()
        self._has_audio = False
        self.milliseconds = frame_milliseconds
        self.plaintext_bytes = frames.constant_bytes(codec, frame_milliseconds)

    @property
    def due_at(self) -> float:
        """When the next record has to leave."""
        return self._moment(self._index)

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room(self, kind: FrameType) -> bool:
        """Whether `put` may be called: one frame of audio may wait, and so many frames in all."""
        return len(self._waiting) < SLOT_QUEUE_FRAMES and not (kind is FrameType.AUDIO and self._has_audio)

    def fits(self, payload: bytes) -> bool:
        """Whether a frame is small enough for a slot."""
        return len(payload) < self.plaintext_bytes

    def put(self, kind: FrameType, payload: bytes) -> None:
        """Have a frame wait for its slot."""
        self._waiting.append((kind, payload))
        self._has_audio |= kind is FrameType.AUDIO

    def take(self, now: float) -> tuple[FrameType, bytes]:
        """Give the frame of the slot that is due, and go on to the next slot."""
        self._go_on(now)
        frame = self._waiting.popleft() if self._waiting else _COVER
        self._has_audio &= frame[0] is not FrameType.AUDIO
        return frame

    def skip(self, now: float) -> None:
        """Leave the slot that is due empty."""
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        self._index += 1
        self._index = max(self._index, self._newest_due(now) + 2 - SLOT_CATCH_UP)

    def _newest_due(self, now: float) -> int:
        """The last slot that has begun, by the same arithmetic as `due_at`: else a rounding could add one."""
        newest = int((now - self._began_at) / self._seconds)
        newest += self._moment(newest + 1) <= now
        return newest - (self._moment(newest) > now)

    def _moment(self, index: int) -> float:
        return self._began_at + index * self._seconds
