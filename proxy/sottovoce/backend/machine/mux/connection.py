"""A proxy's connection, and the calls on it."""

from collections.abc import Callable
from typing import Final

from sottovoce.backend.errors import PeerMisbehaved
from sottovoce.backend.items import Ended
from sottovoce.backend.machine.mux import frames as mux
from sottovoce.backend.machine.mux.call import WINDOW_FRAMES, MuxCall
from sottovoce.backend.machine.mux.pipe import Pipe
from sottovoce.transport import HANDSHAKE_SECONDS, TlsContext

_ABNORMAL, _POLICY = 1006, 1008
_OF_A_CALL: Final = frozenset(
    {mux.AUDIO, mux.DATA, mux.DTMF, mux.MARK, mux.JSON, mux.MUTE, mux.STOP, mux.ERROR, mux.CREDIT}
)


class MuxMachine:
    """One connection; the same to a shell as a `CallMachine`, but for the number of its calls."""

    wants_more = True
    """Credit bounds what waits for handlers, so the network is always read."""

    def __init__(
        self, now: float, *, tls: TlsContext | None = None, is_busy: Callable[[], bool] = lambda: False
    ) -> None:
        """Begin with an accepted connection; within `HANDSHAKE_SECONDS` there must be a greeting."""
        self._pipe = Pipe(tls)
        self._is_busy = is_busy
        self._due: float | None = now + HANDSHAKE_SECONDS
        self._out = [mux.GREETING]
        self._rest = b""
        self._calls: dict[int, MuxCall] = {}
        self._last_call = 0
        self._leaving: dict[MuxCall, None] = {}
        self._begun: list[MuxCall] = []
        self._changed: dict[MuxCall, None] = {}
        self.is_accepted = False
        """Whether it greeted."""
        self.is_over = False
        """Whether the connection may be closed once what `to_send` gives is written."""
        self.fault: str | None = None
        """What the peer did against the contract, in one line."""

    # What the network brings.

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the network.  Nothing that a peer sends makes it raise."""
        if self.is_over:
            return
        try:
            self._rest += self._pipe.open(data)
            if not self.is_accepted:
                self._greet()
            if self.is_accepted:
                self._read(now)
        except PeerMisbehaved as error:
            self._refuse(str(error))
        if self._pipe.is_ended:
            self.receive_eof(now)

    def receive_eof(self, now: float) -> None:
        """Say that the network has no more bytes, or broke."""
        del now
        self._end(_ABNORMAL, "the connection to the proxy ended without a word")

    def to_send(self) -> bytes:
        """Give all bytes to write now, perhaps none, in this order and behind those given before."""
        plain = b"".join(self._out)
        self._out.clear()
        data = self._pipe.seal(plain)
        return data + self._pipe.end() if self.is_over else data

    @property
    def calls(self) -> int:
        """How many calls it carries."""
        return len(self._calls)

    def take_begun(self) -> list[MuxCall]:
        """Give the calls that have begun since this was asked last."""
        begun, self._begun = self._begun, []
        return begun

    def take_changed(self) -> list[MuxCall]:
        """Give the calls whose handlers may have to be told something."""
        changed, self._changed = self._changed, {}
        return list(changed)

    # Time.

    def next_deadline(self) -> float | None:
        """When `on_deadline` has to be called; None while nothing is to be waited for."""
        if self.is_over:
            return None
        first = next((call.due for call in self._leaving if call.due is not None), None)  # all are given the same time
        dues = [due for due in (self._due, first) if due is not None]
        return min(dues, default=None)

    def on_deadline(self, now: float) -> None:
        """Do what is due; nothing, if it is too early."""
        if self.is_over:
            return
        if self._due is not None and now >= self._due:
            self._refuse(f"no greeting came within {HANDSHAKE_SECONDS:.0f} seconds")
        for call in [each for each in self._leaving if each.due is not None and now >= each.due]:
            call.end(Ended(_ABNORMAL, "the proxy did not answer", truncated=True))
            del self._leaving[call]
            self._changed[call] = None

    def make_room(self, now: float) -> None:
        """Give up a connection that has not greeted yet, as others want to."""
        del now
        self._refuse("it had not greeted when there were too many such connections")

    # What the calls want.

    def say(self, frame: bytes) -> None:
        """Queue a frame."""
        if not self.is_over:
            self._out.append(frame)

    def leaves(self, call: MuxCall) -> None:
        """Mind a call that waits for the proxy's last word."""
        self._leaving[call] = None

    def forget(self, call: MuxCall) -> None:
        """The proxy has said its last word in this call."""
        self._calls.pop(call.number, None)
        self._leaving.pop(call, None)

    # How it is done.

    def _greet(self) -> None:
        length = len(mux.GREETING)
        mux.check_greeting_untrusted(self._rest[:length])
        if len(self._rest) >= length:
            self._rest = self._rest[length:]
            self.is_accepted, self._due = True, None

    def _read(self, now: float) -> None:
        unpack, header_bytes = mux.HEADER.unpack_from, mux.HEADER.size
        buffer, at = self._rest, 0
        end = len(buffer)
        while at + header_bytes <= end and not self.is_over:
            length, number, kind = unpack(buffer, at)
            body_at = at + header_bytes
            if length > mux.MAX_BODY_BYTES:
                raise PeerMisbehaved(f"a frame of {length} bytes")
            if body_at + length > end:
                break
            at = body_at + length
            self._take(kind, number, buffer[body_at:at], now)
        self._rest = buffer[at:]

    def _take(self, kind: int, number: int, body: bytes, now: float) -> None:
        if kind >= mux.FIRST_IGNORED:
            return
        call = self._calls.get(number)
        if call is not None and kind in _OF_A_CALL:
            self._changed[call] = None
            call.hear(kind, body)
        elif kind == mux.OPEN:
            self._open(number, body, now)
        elif kind == mux.ERROR and 0 < number <= self._last_call:
            pass  # it crossed our `refused`
        elif number:
            raise PeerMisbehaved(f"a frame of type 0x{kind:02x} in call {number}, which cannot have one")
        elif kind == mux.PING:
            self._out.append(mux.frame(mux.PONG, 0, mux.read_ping_untrusted(body)))
        elif kind == mux.PONG:
            mux.read_ping_untrusted(body)
        elif kind == mux.ERROR:
            self._end(_ABNORMAL, f"the proxy gave the connection up: {mux.read_why_untrusted(body)}")
        elif kind != mux.GOAWAY:
            raise PeerMisbehaved(f"a frame of type 0x{kind:02x} of no call")

    def _open(self, number: int, body: bytes, now: float) -> None:
        if number <= self._last_call:
            raise PeerMisbehaved(f"call {number} was opened behind call {self._last_call}")
        self._last_call = number
        start = mux.read_open_untrusted(body)
        if self._is_busy():
            self._out.append(mux.write_why(mux.REFUSED, number, "busy", "there are as many calls as there may be"))
            return
        call = MuxCall(self, number, start, now)
        self._calls[number] = call
        self._begun.append(call)
        self._out += mux.frame(mux.OPENED, number), mux.write_credit(number, WINDOW_FRAMES)

    def _refuse(self, fault: str) -> None:
        self.fault = fault
        self._out.append(mux.write_why(mux.ERROR, 0, "bad_framing", fault))
        self._end(_POLICY, fault)

    def _end(self, code: int, reason: str) -> None:
        """The connection is over, and with it every call."""
        if self.is_over:
            return
        self.is_over = True
        for call in self._calls.values():
            call.end(Ended(code, reason, truncated=True))
            self._changed[call] = None
        self._calls.clear()
        self._leaving.clear()
