"""Where a backend's leg puts what it says: into the call's flow, in its order."""

from collections.abc import Callable
from functools import partial

from sottovoce.plane import CallFlow, Control
from sottovoce.session import ServerSession
from sottovoce.wire import Code


class ClientSink:
    """The `CallSink` of one call."""

    __slots__ = ("_call_back", "_crashed", "_end", "_first_word", "_flow", "audio")

    def __init__(
        self,
        flow: CallFlow,
        end: Callable[[Code, str], None],
        first_word: Callable[[], None],
        crashed: Callable[[Exception], None],
    ) -> None:
        """Put into `flow`; `end` ends the session with a code and a reason for the log.

        `first_word` is told when the backend has said its first thing, `crashed` of a fault of the leg's.
        """
        self._flow = flow
        self.audio = flow.send_audio
        self._crashed = crashed
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
        self._flow.forget_audio()
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

    def crashed(self, error: Exception) -> None:
        """Have the call cut off."""
        self._crashed(error)

    def flush(self) -> None:
        """Have the call write what waits."""
        if self._first_word is not None and self._flow.has_said:
            first_word, self._first_word = self._first_word, None
            first_word()
        self._flow.flush()

    def has_room(self, call_back: Callable[[], None]) -> bool:
        """Whether the queue is not crowded; if it is, `call_back` hears when it no longer is."""
        if not self._flow.is_crowded:
            return True
        self._call_back = call_back
        return False

    def look(self) -> None:
        """Call back who waits for room, if there is some: the queue has become shorter."""
        if self._call_back is not None and not self._flow.is_crowded:
            call_back, self._call_back = self._call_back, None
            call_back()

    def _end_behind(self, reason: str, session: ServerSession, now: float) -> bool:
        del now
        if session.frames_waiting:
            return False  # their slots come first
        self._end(Code.NORMAL, reason)
        return True

    def _put(self, control: Control) -> None:
        self._flow.send(control)
        if self._flow.is_full:
            self._end(Code.RATE_LIMITED, "the client does not read")
