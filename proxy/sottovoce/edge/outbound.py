"""What a backend says on its way to a client: into a queue, and from there sealed and written.

Audio is bounded by dropping the oldest frame *before* it is sealed: a sealed record must be written, or the client sees
a gap (docs/protocol.md §7).  Everything else keeps its place and is never dropped; when it fills up, the client is not
reading.  The order in which things were put is the order in which they are sealed.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from sottovoce.session import ServerSession
from sottovoce.wire import Code

MAX_CONTROLS = 1024
"""Four times the burst that protocol §9 grants, and twice what a backend is read for: only `echo` gets here."""
CROWD_CONTROLS = 512
"""From here on the backend is not read."""

Control: TypeAlias = Callable[[ServerSession, float], bool]
"""Queues a control frame in the session; false when that must wait."""


AudioFrame: TypeAlias = tuple[bytes, int, int | None]
"""A frame of the backend: codec bytes, flags, timestamp.  A bare tuple: one is made for each frame."""


class ClientQueue:
    """Frames and control frames in order; drops the oldest audio beyond `max_frames`."""

    __slots__ = ("_controls", "_frames", "_max_frames", "dropped_frames", "is_paced", "items", "sealed_frames")

    def __init__(self, max_frames: int) -> None:
        """Hold at most `max_frames` audio frames, one or more."""
        self.items: deque[AudioFrame | Control] = deque()
        """What waits, the oldest first: to be looked at, not touched."""
        self._max_frames = max_frames
        self._frames = 0
        self._controls = 0
        self.dropped_frames = 0
        self.sealed_frames = 0
        self.is_paced = False
        """Padding class 2: the session sends at its own pace, and a frame waits here until it takes one."""

    @property
    def is_full(self) -> bool:
        """Whether so much control waits that the client counts as gone."""
        return self._controls >= MAX_CONTROLS

    @property
    def is_crowded(self) -> bool:
        """Whether so much control waits that no more should come."""
        return self._controls >= CROWD_CONTROLS

    def put_audio(self, frame: AudioFrame) -> None:
        """Append a frame.  When it is one too many, the oldest waiting frame is dropped and counted."""
        self.items.append(frame)
        if self._frames < self._max_frames:
            self._frames += 1
            return
        self.dropped_frames += 1
        for index, item in enumerate(self.items):
            if not callable(item):
                del self.items[index]
                return

    def put_control(self, control: Control) -> None:
        """Append a control frame.  Look at `is_full` afterwards."""
        self._controls += 1
        self.items.append(control)

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
            self._controls -= 1
            if not item(session, now):
                self._controls += 1
                self.items.appendleft(item)
                return
            records += session.to_send()

    def drop_audio(self) -> None:
        """Forget the audio that waits: somebody speaks over it."""
        kept = [item for item in self.items if callable(item)]
        self.items.clear()
        self.items.extend(kept)
        self._frames = 0

    def clear(self) -> None:
        """Forget what waits: the session is over."""
        self.items.clear()
        self._frames = self._controls = 0


class TakesAudio(Protocol):
    """Is told a frame of the backend."""

    def __call__(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """Seal it, or have it wait."""
        ...


class ClientSink:
    """The `CallSink` of one call.  `write` has the call write what waits in the queue."""

    __slots__ = ("_call_back", "_end", "_first_word", "_queue", "_write", "audio")

    def __init__(
        self,
        queue: ClientQueue,
        audio: TakesAudio,
        write: Callable[[], None],
        end: Callable[[Code, str], None],
        first_word: Callable[[], None],
    ) -> None:
        """Put into `queue`; `end` ends the session with a code and a reason for the log.

        `audio` is told each frame, which it seals at once or queues; the oldest is dropped when there is no room.
        `first_word` is told when the backend has said its first thing.
        """
        self._queue = queue
        self.audio: TakesAudio = audio
        self._write = write
        self._end = end
        self._first_word: Callable[[], None] | None = first_word
        self._call_back: Callable[[], None] | None = None

    def data(self, data: bytes) -> None:
        """Queue data of a data session."""
        self._put(lambda session, now: session.send_data(data, now))

    def dtmf(self, event: int, duration_ms: int) -> None:
        """Queue a key press."""
        self._put(lambda session, now: session.send_dtmf(event, duration_ms, now))

    def mark(self, name: str) -> None:
        """Queue a mark, behind the audio before it."""
        self._put(lambda session, now: session.send_mark(name, now))

    def clear(self) -> None:
        """Drop the audio that still waits here, and tell the client to do the same."""
        self._queue.drop_audio()
        self._put(ServerSession.send_clear)

    def json(self, data: bytes) -> None:
        """Queue a JSON object."""
        self._put(lambda session, now: session.send_json(data, now))

    def hung_up(self, reason: str) -> None:
        """End the call in good order, behind what the backend had said before."""
        self._put(partial(self._end_behind, reason))

    def backend_closed(self, reason: str) -> None:
        """End the call at once."""
        self._end(Code.BACKEND_DOWN, reason)

    def flush(self) -> None:
        """Have the call write what waits."""
        if self._first_word is not None and (self._queue.items or self._queue.sealed_frames):
            first_word, self._first_word = self._first_word, None
            first_word()
        self._write()

    def has_room(self, call_back: Callable[[], None]) -> bool:
        """Whether the queue is not crowded; if it is, `call_back` hears when it no longer is."""
        if not self._queue.is_crowded:
            return True
        self._call_back = call_back
        return False

    def look(self) -> None:
        """Call back who waits for room, if there is some: the queue has become shorter."""
        if self._call_back is not None and not self._queue.is_crowded:
            call_back, self._call_back = self._call_back, None
            call_back()

    def _end_behind(self, reason: str, session: ServerSession, now: float) -> bool:
        del now
        if session.frames_waiting:
            return False  # their slots come first
        self._end(Code.NORMAL, reason)
        return True

    def _put(self, control: Control) -> None:
        self._queue.put_control(control)
        if self._queue.is_full:
            self._end(Code.RATE_LIMITED, "the client does not read")
