"""What a backend says on its way to a client: into a queue, and from there sealed and written.

Audio is bounded by dropping the oldest frame *before* it is sealed: a sealed record must be written, or the client sees
a gap (docs/protocol.md §7).  Everything else keeps its place and is never dropped; when it fills up, the client is not
reading.  The order in which things were put is the order in which they are sealed.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from sottovoce.session import ServerSession

MAX_CONTROLS = 1024
"""Four times the burst that protocol §9 grants, and twice what a backend is read for: only `echo` gets here."""
CROWD_CONTROLS = 512
"""From here on the backend is not read."""

Control: TypeAlias = Callable[[ServerSession, float], bool]
"""Queues a control frame in the session; false when that must wait."""


AudioFrame: TypeAlias = tuple[bytes, int, int | None]
"""A frame of the backend: codec bytes, flags, timestamp.  A bare tuple: one is made for each frame."""

_NOTHING: Final[deque[Any]] = deque(maxlen=0)
"""What waits while nothing does: a deque of its own is 700 bytes, and most calls never have a use for one."""


class ClientQueue:
    """Frames and control frames in order; drops the oldest audio beyond `max_frames`."""

    __slots__ = ("_frames", "_max_frames", "controls", "dropped_frames", "is_paced", "items", "sealed_frames")

    def __init__(self, max_frames: int) -> None:
        """Hold at most `max_frames` audio frames, one or more."""
        self.items: deque[AudioFrame | Control] = _NOTHING
        """What waits, the oldest first: to be looked at, not touched."""
        self._max_frames = max_frames
        self._frames = 0
        self.controls = 0
        """How many control frames wait."""
        self.dropped_frames = 0
        self.sealed_frames = 0
        self.is_paced = False
        """Padding class 2: the session sends at its own pace, and a frame waits here until it takes one."""

    def put_audio(self, frame: AudioFrame) -> None:
        """Append a frame.  When it is one too many, the oldest waiting frame is dropped and counted."""
        self._items().append(frame)
        if self._frames < self._max_frames:
            self._frames += 1
            return
        self.dropped_frames += 1
        for index, item in enumerate(self.items):
            if not callable(item):
                del self.items[index]
                return

    def put_control(self, control: Control) -> None:
        """Append a control frame.  Look at `controls` afterwards."""
        self.controls += 1
        self._items().append(control)

    def seal_into(self, records: list[bytes], session: ServerSession, now: float) -> None:
        """Seal what may be sealed now and append the records, the session's own ones first.

        A control frame may end the session, and with it call `clear`.
        """
        records += session.to_send()
        items = self.items
        while items:
            item = items.popleft()
            if not callable(item):
                codec_bytes, flags, timestamp = item
                if self.is_paced:
                    if not session.send_audio(codec_bytes, now, flags=flags, timestamp=timestamp):
                        self.items.appendleft(item)
                        return
                else:
                    record = session.seal_audio(codec_bytes, now, flags=flags, timestamp=timestamp)
                    if record is None:
                        self.items.appendleft(item)
                        return
                    records.append(record)
                self._frames -= 1
                self.sealed_frames += 1
                continue
            self.controls -= 1
            if not item(session, now):
                self.controls += 1
                self.items.appendleft(item)
                return
            records += session.to_send()
        self.items = _NOTHING

    def _items(self) -> deque[AudioFrame | Control]:
        if self.items is _NOTHING:
            self.items = deque()
        return self.items

    def drop_audio(self) -> None:
        """Forget the audio that waits: somebody speaks over it."""
        kept = [item for item in self.items if callable(item)]
        self.items.clear()
        self.items.extend(kept)
        self._frames = 0

    def clear(self) -> None:
        """Forget what waits: the session is over."""
        self.items.clear()
        self._frames = self.controls = 0
