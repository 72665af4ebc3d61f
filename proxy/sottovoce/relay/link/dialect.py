"""What an adapter adds to a leg: its messages, both ways.  Pure.

`BackendLeg` owns the socket, the queue, the limits and the ends; a `Dialect` turns what goes to the backend into
messages, texts or binary, and tells a `MeteredSink` what came back.  One dialect object serves one call.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, final

from sottovoce.relay.call import CallEnd, CallSink, CallStart, LegStatistics
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.relay.link.pace import audio_bucket, control_bucket

Message = str | bytes
"""A text, or a binary message."""


@final
class Later:
    """Messages that are finished only when they are written, behind all that waits before: numbered ones, say."""

    __slots__ = ("messages",)

    def __init__(self, messages: Callable[[], Sequence[Message]]) -> None:
        """`messages` is called once, or never if the connection ends before."""
        self.messages = messages


class Dialect(Protocol):
    """One adapter's messages for one call.  None from an encoder: this dialect has no such message.

    A dialect that passes on what it hears in its own time is `is_paced`, and has a `deadline`.
    """

    is_paced: bool = False

    def start(self) -> Sequence[Message]:
        """The messages that open a call."""
        ...

    def audio(self, payload: bytes, lost_before: int) -> Message | Sequence[Message]:
        """One frame for the backend, asked for when it is written: a message, or as many as it makes."""
        ...

    def dtmf(self, event: int, duration_ms: int) -> Message | Later | None:
        """A key press."""
        ...

    def mark_played(self, name: str) -> Message | Later | None:
        """The client has played past a mark."""
        ...

    def mute(self, *, muted: bool) -> Message | Later | None:
        """The client's microphone."""
        ...

    def json(self, data: bytes) -> Message | Later | None:
        """The client's JSON object."""
        ...

    def stop(self, end: CallEnd, leg: LegStatistics) -> Message | Later | None:
        """The message that closes a call, before the close itself."""
        ...

    def receive_text(self, text: str, sink: "MeteredSink") -> None:
        """Tell the sink what a text from the backend says.  Raises BackendMisbehaved."""

    def receive_binary(self, message: bytes, sink: "MeteredSink") -> None:
        """Tell the sink what a binary message from the backend holds.  Raises BackendMisbehaved."""

    def closed(self, code: int, sink: "MeteredSink") -> None:
        """The backend closed, with a code of its framing.  Where that hangs up, set `sink.hang_up`; else it is down."""
        del code, sink

    def deadline(self) -> float | None:
        """When `fire` should be called; None: not before something was heard."""
        return None

    def fire(self, sink: "MeteredSink") -> None:
        """Tell the sink what is due at `sink.now`.  Raises BackendMisbehaved."""
        del sink


class MeteredSink:
    """A call's sink behind the limits of `pace`: audio beyond them is dropped, anything else is a flood.

    `now` is set by the leg, once for each batch of bytes.  Raises BackendMisbehaved (flood).
    """

    __slots__ = ("_audio", "_controls", "_sink", "answers", "dropped_frames", "frames", "hang_up", "now")

    def __init__(self, start: CallStart, sink: CallSink, now: float) -> None:
        """Meter what goes to `sink` from `now` on."""
        self._sink = sink
        self._audio = audio_bucket(start.frame_milliseconds, now)
        self._controls = control_bucket(now)
        self.now = now
        self.frames = 0
        self.dropped_frames = 0
        self.answers: list[Message | Later] = []
        """What the dialect itself answers to the backend; the leg sends it after the message that asked for it."""
        self.hang_up: str | None = None
        """The backend's reason once it hung up; the leg ends after the message that said so."""

    def audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """Pass a frame on, or drop it when the backend is too far ahead of real time."""
        if self._audio.take(self.now):
            self.frames += 1
            self._sink.audio(codec_bytes, flags, timestamp)
        else:
            self.dropped_frames += 1

    def data(self, data: bytes) -> None:
        """Pass data on."""
        if not self._audio.take(self.now):
            raise BackendMisbehaved(BackendFault.FLOOD, "more data frames than a call may carry")
        self.frames += 1
        self._sink.data(data)

    def dtmf(self, event: int, duration_ms: int) -> None:
        """Pass a key press on."""
        self._take_control()
        self._sink.dtmf(event, duration_ms)

    def mark(self, name: str) -> None:
        """Pass a mark on."""
        self._take_control()
        self._sink.mark(name)

    def clear(self) -> None:
        """Pass a clear on."""
        self._take_control()
        self._sink.clear()

    def json(self, data: bytes) -> None:
        """Pass a JSON object on."""
        self._take_control()
        self._sink.json(data)

    def ignore(self) -> None:
        """Count a message that is not for the client, so that there cannot be too many of them."""
        self._take_control()

    def _take_control(self) -> None:
        if not self._controls.take(self.now):
            raise BackendMisbehaved(BackendFault.FLOOD, "more than 50 control messages a second (burst 250)")
