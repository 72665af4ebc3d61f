"""One call of a shared connection: what its handler takes and sends."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from sottovoce.backend.errors import CallOver, PeerMisbehaved
from sottovoce.backend.items import Audio, Ended, Item, Start
from sottovoce.backend.machine import messages
from sottovoce.backend.machine.inbox import MAX_AUDIO_FRAMES, Inbox
from sottovoce.backend.machine.mux import frames as mux
from sottovoce.backend.machine.pacing import Pace
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import CLOSE_SECONDS

if TYPE_CHECKING:
    from typing_extensions import Buffer

WINDOW_FRAMES: Final = MAX_AUDIO_FRAMES
"""What the proxy may send before more was taken: as much as an inbox holds, so that it drops nothing."""
_GRANT_FRAMES: Final = WINDOW_FRAMES // 2
_INTERNAL: Final = 1011


class Carrier(Protocol):
    """The connection, as its calls see it."""

    def say(self, frame: bytes) -> None:
        """Queue a frame."""
        ...

    def leaves(self, call: "MuxCall") -> None:
        """The call waits for the proxy's last word, until it is `due`."""
        ...

    def forget(self, call: "MuxCall") -> None:
        """The proxy has said its last word in this call."""
        ...


class MuxCall:
    """A call that was taken."""

    def __init__(self, carrier: Carrier, number: int, start: Start, now: float) -> None:
        self._carrier = carrier
        self._inbox = Inbox()
        self._pace = Pace(now)
        self._credit = 0
        self._allowance = WINDOW_FRAMES
        self._taken = 0
        self._has_hung_up = False
        self.number = number
        self._started = start
        self.start: Start | None = start
        """What the proxy said first."""
        self.ended: Ended | None = None
        """How the call ended, as soon as that is known."""
        self.due: float | None = None
        """When the proxy's last word is no longer waited for."""

    # What the proxy says.

    def hear(self, kind: int, body: bytes) -> None:
        """Take a frame, `open` excepted.  Raises PeerMisbehaved."""
        if kind == mux.CREDIT:
            self._credit += mux.read_credit_untrusted(body)
            if self._credit > mux.MAX_CREDIT:
                raise PeerMisbehaved("more credit than can be counted")
        elif kind == mux.STOP:
            self.end(mux.read_stop_untrusted(body))
            self._carrier.forget(self)
        elif kind == mux.ERROR:
            why = mux.read_why_untrusted(body) or "without a reason"
            self.end(Ended(_INTERNAL, f"the proxy gave the call up: {why}", truncated=True))
            self._carrier.forget(self)
        else:
            self._hear_item(kind, body)

    def _hear_item(self, kind: int, body: bytes) -> None:
        self._allowance -= 1
        if self._allowance < 0:
            raise PeerMisbehaved("more frames than it has credit for")
        item = mux.read_item_untrusted(kind, body, self._started)
        if self.ended is None:
            self._inbox.put(item)

    def end(self, ended: Ended) -> None:
        """The call is over, if it was not before."""
        if self.ended is None:
            self.ended = ended
            self._inbox.put(ended)
        self.due = None

    # What the handler wants.

    def take(self) -> Item | None:
        """Take the oldest item; None if there is none now."""
        item = self._inbox.take()
        if item is not None and self.ended is None:
            self._taken += 1
            if self._taken >= _GRANT_FRAMES:
                self._carrier.say(mux.write_credit(self.number, self._taken))
                self._allowance += self._taken
                self._taken = 0
        return item

    @property
    def frames_dropped(self) -> int:
        """Frames that were dropped here: none, the proxy drops them, and counts them in `lost_before`."""
        return self._inbox.dropped

    @property
    def may_send(self) -> bool:
        """Whether there is credit, or no call any more."""
        return self._credit > 0 or not self._may_say()

    def audio(self, audio: Audio) -> None:
        """Queue a frame for the client.  Raises ApiMisuse for what cannot be one, CallOver."""
        self._spend(mux.write_audio(self.number, audio, self._running()))

    def data(self, data: "Buffer") -> None:
        """Queue data for the client.  Raises ApiMisuse, CallOver."""
        self._spend(mux.frame(mux.DATA, self.number, messages.write_data(data, self._running())))

    def mark(self, name: str, now: float) -> float:
        """Queue a mark, if one may be sent now; give the seconds to wait for that, 0 once it is.

        Raises ApiMisuse, also in a call without audio; CallOver.
        """
        return self._control(mux.write_mark(self.number, name), now)

    def clear(self, now: float) -> float:
        """Queue a `clear`, as `mark` does."""
        return self._control(mux.frame(mux.CLEAR, self.number), now)

    def dtmf(self, event: int, duration_ms: int, now: float) -> float:
        """Queue a key press, as `mark` does."""
        return self._control(mux.write_dtmf(self.number, event, duration_ms), now)

    def json(self, value: Mapping[str, object], now: float) -> float:
        """Queue a JSON object, as `mark` does, in every call."""
        return self._text(mux.frame(mux.JSON, self.number, messages.encode_object(value)), now)

    def hang_up(self, now: float, reason: str = "") -> None:
        """Say that the call ends, behind what was said before; the proxy answers.  Harmless when it is over.

        Raises ApiMisuse for a reason that is no text.
        """
        stop = mux.write_stop(self.number, reason)
        if self._may_say():
            self._carrier.say(stop)
            self._leave(now)

    def fail(self, now: float) -> None:
        """Give the call up: the proxy tells the client `backend_down`."""
        if self._may_say():
            self._carrier.say(mux.write_why(mux.ERROR, self.number, "failed", "the handler failed"))
            self._leave(now)
        self.end(Ended(_INTERNAL, "the handler failed", truncated=True))

    # How it is done.

    def _leave(self, now: float) -> None:
        self._has_hung_up = True
        self.due = now + CLOSE_SECONDS
        self._carrier.leaves(self)

    def _may_say(self) -> bool:
        return self.ended is None and not self._has_hung_up

    def _running(self) -> Start:
        if not self._may_say():
            raise CallOver("the call has ended, so nothing more can be sent")
        return self._started

    def _control(self, framed: bytes, now: float) -> float:
        if self._running().is_data:
            raise ApiMisuse("a call without audio has no marks, no keys and nothing to clear")
        return self._text(framed, now)

    def _text(self, framed: bytes, now: float) -> float:
        self._running()
        if wait := self._pace.wait(now):
            return wait
        self._spend(framed)
        self._pace.spend()
        return 0.0

    def _spend(self, framed: bytes) -> None:
        if self._credit <= 0:
            raise ApiMisuse("the proxy takes no more frames of this call now: look at `may_send` first")
        self._credit -= 1
        self._carrier.say(framed)
