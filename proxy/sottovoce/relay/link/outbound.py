"""What waits to be written to a backend that is slower than the call.  Pure.

Audio is bounded by dropping the oldest frame, which is counted and added to the `lost_before` of the next one, so that
a backend with a jitter buffer knows of the hole.  Control messages (texts, and the data frames of a data session) are
bounded too but never dropped: when they fill up, the backend is not reading and counts as down.  The order in which
things were put is the order in which they leave.
"""

from collections import deque
from typing import Any, Final

from sottovoce.relay.errors import BackendDown, BackendFault
from sottovoce.relay.link.dialect import Later, Message

MAX_CONTROLS = 512
"""Twice the burst that the protocol grants a client (§9), so that only a backend that does not read gets here."""

AudioFrame = tuple[bytes, int]
"""(payload of frame type 1, frames lost before it)."""
Control = Message | Later
"""A text, a data frame or another binary message, or messages that are finished when they leave."""
Outgoing = AudioFrame | Control

_NOTHING: Final[deque[Any]] = deque(maxlen=0)
"""What waits while nothing does: a deque of its own is 700 bytes, and most calls never have a use for one."""


class OutboundQueue:
    """Frames and texts in order; drops the oldest audio beyond `max_frames`, refuses control beyond `MAX_CONTROLS`."""

    __slots__ = ("_controls", "_frames", "_max_frames", "dropped_frames", "items")

    def __init__(self, max_frames: int) -> None:
        """Hold at most `max_frames` audio frames, one or more."""
        self.items: deque[Outgoing] = _NOTHING
        """What waits, the oldest first: to be looked at, not touched."""
        self._max_frames = max_frames
        self._frames = 0
        self._controls = 0
        self.dropped_frames = 0

    def put_audio(self, payload: bytes, lost_before: int) -> None:
        """Append a frame.  When it is one too many, the oldest waiting frame is dropped and counted."""
        self._items().append((payload, lost_before))
        if self._frames == self._max_frames:
            self._drop_oldest_frame()
        else:
            self._frames += 1

    def put_control(self, message: Control) -> None:
        """Append a text or a data frame.  Raises BackendDown when no more fit: nothing was appended."""
        if self._controls == MAX_CONTROLS:
            raise BackendDown(BackendFault.STUCK, f"it left {MAX_CONTROLS} control messages unread")
        self._controls += 1
        self._items().append(message)

    def take(self) -> Outgoing:
        """Take the oldest; there is one."""
        item = self.items.popleft()
        if isinstance(item, tuple):
            self._frames -= 1
        else:
            self._controls -= 1
        return item

    def drain(self) -> deque[Outgoing]:
        """Take everything, oldest first."""
        items, self.items = self.items, _NOTHING
        self._frames = self._controls = 0
        return items

    def _items(self) -> deque[Outgoing]:
        if self.items is _NOTHING:
            self.items = deque()
        return self.items

    def _drop_oldest_frame(self) -> None:
        """Remove the first frame; the second inherits its hole.  There are at least two: one was just appended."""
        oldest = -1
        hole = 0
        for index, item in enumerate(self.items):
            if not isinstance(item, tuple):
                continue
            payload, lost_before = item
            if oldest < 0:
                oldest, hole = index, lost_before + 1
                continue
            self.items[index] = (payload, lost_before + hole)
            break
        del self.items[oldest]
        self.dropped_frames += 1
