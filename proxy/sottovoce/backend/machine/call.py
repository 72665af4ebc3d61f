"""One call: what the proxy says, what the handler says, time, and the end."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from sottovoce.backend.errors import CallOver, PeerMisbehaved
from sottovoce.backend.items import Audio, Ended, Item, Start
from sottovoce.backend.machine import messages
from sottovoce.backend.machine.channel import Channel
from sottovoce.backend.machine.inbox import Inbox
from sottovoce.backend.machine.pacing import Pace
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import (
    CLOSE_SECONDS,
    HANDSHAKE_SECONDS,
    PeerClosed,
    TextMessage,
    TlsContext,
    UpgradeAccepted,
    UpgradeRequest,
    WsEvent,
    WsFailed,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

LAST_WORDS_SECONDS: Final = 1.0
"""For the peer's part of a close, and for the last bytes of a connection that is over."""
_NORMAL, _ABNORMAL, _POLICY, _INTERNAL = 1000, 1006, 1008, 1011


class CallMachine:
    """One connection to a backend, and the call that it carries."""

    def __init__(
        self, now: float, *, tls: TlsContext | None = None, is_busy: Callable[[], bool] = lambda: False
    ) -> None:
        """Begin with an accepted connection; within `HANDSHAKE_SECONDS` there must be a `start`."""
        self._channel = Channel(tls, is_busy)
        self._inbox = Inbox()
        self._due: float | None = now + HANDSHAKE_SECONDS
        self._is_deaf = False
        self._has_hung_up = False
        self._pace = Pace(now)
        self._is_begun = False
        self.start: Start | None = None
        """What the proxy said first; None before."""
        self.ended: Ended | None = None
        """How the call ended, as soon as that is known."""
        self.fault: str | None = None
        """What the peer did against the contract, in one line."""

    # What the network brings.

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the network.  Nothing that a peer sends makes it raise."""
        self._take(self._channel.receive(data), now)

    def receive_eof(self, now: float) -> None:
        """Say that the network has no more bytes, or broke."""
        del now
        self._lost(_ABNORMAL, "the connection to the proxy ended without a word")

    def to_send(self) -> bytes:
        """Give all bytes to write now, perhaps none, in this order and behind those given before."""
        return self._channel.to_send()

    @property
    def is_accepted(self) -> bool:
        """Whether it counts as a call: one was asked for, and not refused."""
        return self._channel.is_accepted

    @property
    def calls(self) -> int:
        """How many calls it carries."""
        return int(self.is_accepted)

    def take_begun(self) -> "list[CallMachine]":
        """Give the calls that have begun since this was asked last: itself, once."""
        if self._is_begun or self.start is None:
            return []
        self._is_begun = True
        return [self]

    def take_changed(self) -> "list[CallMachine]":
        """Give the calls whose handler may have to be told something: itself."""
        return [self] if self._is_begun else []

    @property
    def is_over(self) -> bool:
        """Whether the connection may be closed once what `to_send` gives is written."""
        return self._channel.is_over

    @property
    def wants_more(self) -> bool:
        """Whether to read the network now: not while much that must not be dropped waits for the handler."""
        return not self._inbox.is_full

    # Time.

    def next_deadline(self) -> float | None:
        """When `on_deadline` has to be called; None while nothing is to be waited for."""
        return None if self.is_over else self._due

    def on_deadline(self, now: float) -> None:
        """Do what is due; nothing, if it is too early."""
        if self._due is None or now < self._due or self.is_over:
            return
        if self.start is None and not self._is_deaf:
            self._refuse(f"no `start` came within {HANDSHAKE_SECONDS:.0f} seconds", now)
        else:
            self._lost(_ABNORMAL, "the proxy did not answer")

    # What the handler wants.

    def take(self) -> Item | None:
        """Take the oldest item; None if there is none now."""
        return self._inbox.take()

    @property
    def frames_dropped(self) -> int:
        """Frames that came and were dropped here, as nobody read them in time."""
        return self._inbox.dropped

    def audio(self, audio: Audio) -> None:
        """Queue a frame for the client.  Raises ApiMisuse for what cannot be one, CallOver."""
        self._say(messages.write_audio(audio, self._running()))

    def data(self, data: "Buffer") -> None:
        """Queue data for the client.  Raises ApiMisuse, CallOver."""
        self._say(messages.write_data(data, self._running()))

    @property
    def may_send(self) -> bool:
        """Whether to send now, as far as the call has to say: a connection of its own is all that it waits for."""
        return True

    def mark(self, name: str, now: float) -> float:
        """Queue a mark, if one may be sent now; give the seconds to wait for that, 0 once it is.

        Raises ApiMisuse, also in a call without audio; CallOver.
        """
        return self._control(messages.write_mark(name), now)

    def clear(self, now: float) -> float:
        """Queue a `clear`, as `mark` does."""
        return self._control(messages.write_clear(), now)

    def dtmf(self, event: int, duration_ms: int, now: float) -> float:
        """Queue a key press, as `mark` does."""
        return self._control(messages.write_dtmf(event, duration_ms), now)

    def json(self, value: Mapping[str, object], now: float) -> float:
        """Queue a JSON object, as `mark` does, in every call."""
        return self._text(messages.write_json(value), now)

    def hang_up(self, now: float, reason: str = "") -> None:
        """Say that the call ends, behind what was said before; the proxy answers.  Harmless when it is over.

        Raises ApiMisuse for a reason that is no text.
        """
        stop = messages.write_stop(reason)
        if self._may_say():
            self._say(stop)
            self._has_hung_up = True
            self._due = now + CLOSE_SECONDS

    def make_room(self, now: float) -> None:
        """Give up a connection that has not asked for a call yet, as others want to."""
        self._refuse("it had asked for no call when there were too many such connections", now)

    def fail(self, now: float) -> None:
        """Give the call up without a `stop`: the proxy tells the client `backend_down`."""
        if self.ended is None:
            self._tell(Ended(_INTERNAL, "the handler failed", truncated=True))
        self._close(_INTERNAL, now)

    # How it is done.

    def _running(self) -> Start:
        if self.start is None or not self._may_say():
            raise CallOver("the call has ended, so nothing more can be sent")
        return self.start

    def _may_say(self) -> bool:
        return self.ended is None and not self._has_hung_up and self._channel.is_open

    def _control(self, text: str, now: float) -> float:
        if self._running().is_data:
            raise ApiMisuse("a call without audio has no marks, no keys and nothing to clear")
        return self._text(text, now)

    def _text(self, text: str, now: float) -> float:
        self._running()
        if wait := self._pace.wait(now):
            return wait
        self._say(text)
        self._pace.spend()
        return 0.0

    def _say(self, message: bytes | str) -> None:
        self._channel.send(message)

    def _take(self, events: Iterable[WsEvent], now: float) -> None:
        for event in events:
            try:
                self._take_one(event, now)
            except PeerMisbehaved as error:
                self._refuse(str(error), now)

    def _take_one(self, event: WsEvent, now: float) -> None:
        match event:
            case PeerClosed(code):
                self._lost(code, "the proxy closed the WebSocket without a word")
            case WsFailed(reason, close_code=code):
                if code != _ABNORMAL:
                    self.fault = self.fault or reason
                self._lost(_ABNORMAL if code is None else code, reason)
            case _ if self._is_deaf:
                pass
            case TextMessage() | bytes():
                self._read(event, now)
            case UpgradeRequest() | UpgradeAccepted():
                pass  # the channel's

    def _read(self, message: TextMessage | bytes, now: float) -> None:
        if self.start is not None:
            if isinstance(message, bytes):
                self._put(messages.read_binary_untrusted(message, self.start), now)
            else:
                self._put(messages.read_text_untrusted(message.text), now)
        elif isinstance(message, bytes):
            raise PeerMisbehaved("the first message is not `start` but binary")
        else:
            self.start, self._due = messages.read_start_untrusted(message.text), None

    def _put(self, item: Item | None, now: float) -> None:
        if self.ended is not None and item is not None:
            raise PeerMisbehaved("something came behind `stop`")
        match item:
            case None:
                pass
            case Ended():
                self._tell(item)
                self._due = now + CLOSE_SECONDS
            case _:
                self._inbox.put(item)

    def _tell(self, ended: Ended) -> None:
        self.ended = ended
        self._inbox.put(ended)

    def _refuse(self, fault: str, now: float) -> None:
        self.fault = fault
        if self.ended is None:
            self._tell(Ended(_POLICY, fault, truncated=True))
        self._close(_POLICY, now)

    def _close(self, code: int, now: float) -> None:
        """Close the WebSocket with a code and hear nothing more; the peer's part of it is waited for, not for long."""
        self._is_deaf = True
        if self._channel.close(code):
            self._due = now + LAST_WORDS_SECONDS
        elif not self._channel.is_over:
            self._channel.end()

    def _lost(self, code: int, reason: str) -> None:
        """The connection is over, whether or not the call was."""
        if self.ended is None:
            self._tell(Ended(code, reason, truncated=True))
        self._channel.end()
