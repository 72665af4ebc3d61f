"""What a backend sends, on its way into one client's queue."""

from collections.abc import Callable
from functools import partial

from sottovoce.edge.outbound import AudioFrame, ClientQueue, Control
from sottovoce.session import ServerSession
from sottovoce.wire import Code


class ClientSink:
    """The `CallSink` of one call.  Nothing here waits; `wake` tells the call's writer that there is something."""

    __slots__ = ("_end", "_queue", "_wake")

    def __init__(self, queue: ClientQueue, wake: Callable[[], None], end: Callable[[Code, str], None]) -> None:
        """Put into `queue`; `end` ends the session with a code and a reason for the log."""
        self._queue = queue
        self._wake = wake
        self._end = end

    def audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """Queue a frame; the oldest that waits is dropped when there is no room."""
        self._queue.put_audio(AudioFrame(codec_bytes, flags, timestamp))
        self._wake()

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

    def _end_behind(self, reason: str, session: ServerSession, now: float) -> bool:
        del session, now
        self._end(Code.NORMAL, reason)
        return True

    def _put(self, control: Control) -> None:
        self._queue.put_control(control)
        if self._queue.is_full:
            self._end(Code.RATE_LIMITED, "the client does not read")
        else:
            self._wake()
