"""One connection to a backend and the calls on it.  Pure: bytes in, bytes out, and what came is told to the calls.

    receive(data, now)     to_send() → bytes     next_deadline()     on_deadline(now)

A fault in one call ends that call; what cannot be a frame, or be meant for a call that there was, ends the connection,
and with it all calls.  Whoever drives it writes what `to_send` gives, as soon as the connection takes bytes; `flush`
asks for that, once for all that happens in a turn.
"""

from collections.abc import Callable
from typing import Final

from sottovoce.relay.call import CallSink, CallStart
from sottovoce.relay.errors import BackendDown, BackendFault, BackendMisbehaved
from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.leg import MuxLeg

WRITE_BYTES: Final = 65_536
"""Of what waited, so much is put into one write; the rest may still be dropped."""
IDLE_SECONDS: Final = 30.0
"""A connection without a call is kept for so long."""
LATE_FRAMES: Final = 4_096
"""Of each call that is over so many more may come: more than a minute of speech, from a backend that minds no credit.

All of them are counted together, so that a call that is over leaves nothing behind.
"""
LATE_SECONDS: Final = 10.0
"""So often, at most, what has not come of them is halved, down to those of one call."""


class MuxMachine:
    """The proxy's end of a connection whose greetings were exchanged."""

    def __init__(self, now: float, *, silence_seconds: float, wants_to_write: Callable[[], None]) -> None:
        """A backend that says nothing for `silence_seconds`, not even to a ping, is down."""
        self.out: list[bytes] = []
        self.is_clogged = False
        """To be set by the driver: what was written before has not left."""
        self.fault: BackendDown | None = None
        """Why the connection is over; then `to_send` gives the last bytes."""
        self.is_ended = False
        """The connection is over, with or without a fault."""
        self._wants_to_write = wants_to_write
        self._is_due = False
        self._silence_seconds = silence_seconds
        self._calls: dict[int, MuxLeg] = {}
        self._waiting: dict[MuxLeg, None] = {}
        self._touched: list[MuxLeg] = []
        self._rest = b""
        self._pong: bytes | None = None
        self._last_call = 0
        self._late_frames = 0
        self._late_since = now
        self._is_draining = False
        self._heard_at = self._idle_since = now
        self._is_pinged = False

    @property
    def takes_calls(self) -> bool:
        """Whether calls may be opened."""
        return not self.is_ended and not self._is_draining and self._last_call < mux.MAX_CALL

    @property
    def calls(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    def open(
        self, start: CallStart, sink: CallSink, queue_frames: int, now: float, changed: Callable[[], None]
    ) -> MuxLeg:
        """Ask for a call; `changed` is told when it `is_opened` or has a `refusal`."""
        self._last_call += 1
        leg = MuxLeg(self, self._last_call, start, sink, queue_frames=queue_frames, now=now, changed=changed)
        self._calls[leg.number] = leg
        self.out.append(mux.encode_open(leg.number, start))
        self.flush()
        return leg

    # What the network brings.

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes.  Nothing that a backend sends makes it raise; what a call's sink raises is that call's crash."""
        if self.is_ended:
            return
        self._heard_at, self._is_pinged = now, False
        if self._calls:
            self._idle_since = now
        try:
            self._read(self._rest + data if self._rest else data, now)
        except BackendMisbehaved as fault:
            self.out.append(mux.encode_error(0, fault.fault.value, fault.detail))
            self.lose(fault)
        except BackendDown as down:
            self.lose(down)
        touched, self._touched = self._touched, []
        for leg in touched:
            leg.is_touched = False
            try:
                leg.settle()
            except Exception as error:  # noqa: BLE001  our own fault, in one call: the others go on
                leg.crash(error)
        self.flush()

    def _read(self, buffer: bytes, now: float) -> None:
        """Take every whole frame.  Raises BackendDown for what ends the connection."""
        unpack, header_bytes, most = mux.HEADER.unpack_from, mux.HEADER_BYTES, mux.MAX_BODY_BYTES
        calls, touched = self._calls, self._touched
        at, end = 0, len(buffer)
        while at + header_bytes <= end:
            length, number, kind = unpack(buffer, at)
            body_at = at + header_bytes
            if length > most:
                raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"a frame of {length} bytes")
            if body_at + length > end:
                break
            at = body_at + length
            leg = calls.get(number)
            if leg is None:
                self._hear_of_no_call(kind, number, buffer[body_at:at])
                continue
            if not leg.is_touched:
                leg.is_touched = True
                touched.append(leg)
            try:
                try:
                    if kind == mux.AUDIO:
                        leg.hear_audio(buffer, body_at, at, now)
                    else:
                        _tell(leg, kind, buffer[body_at:at], now)
                except BackendMisbehaved as fault:
                    if leg.hears:  # else it stands behind the backend's own end, and is as late as all else there
                        leg.fail(fault)
            except Exception as error:  # noqa: BLE001  our own fault, in one call: the others go on
                leg.crash(error)
        self._rest = buffer[at:]

    def lose(self, down: BackendDown) -> None:
        """The connection is over, and with it every call."""
        if self.is_ended:
            return
        self.fault, self.is_ended = down, True
        self._rest = b""
        legs = list(self._calls.values())
        self._calls.clear()
        self._waiting.clear()
        for leg in legs:
            try:
                leg.lose(down)
                leg.settle()
            except Exception as error:  # noqa: BLE001  the others are to hear of it, too
                leg.crash(error)

    # What it sends.

    def flush(self) -> None:
        """Have written what there is, behind this turn."""
        if not self._is_due and (self.out or self._waiting or self._pong):
            self._is_due = True
            self._wants_to_write()

    def wait(self, leg: MuxLeg) -> None:
        """Have a leg pass on what it may send, as soon as the connection takes bytes."""
        if leg.wants_to_send:
            self._waiting[leg] = None

    def forget(self, leg: MuxLeg) -> None:
        """A call has ended; what the backend may have sent meanwhile is let pass."""
        if self._calls.pop(leg.number, None) is not None:
            self._late_frames += LATE_FRAMES
        self._waiting.pop(leg, None)

    def to_send(self) -> bytes:
        """Give what is to be written now, once the connection takes bytes."""
        self._is_due = False
        if self._pong is not None:
            self.out.append(mux.frame(mux.PONG, 0, self._pong))
            self._pong = None
        written = 0
        while self._waiting and written < WRITE_BYTES:
            leg = next(iter(self._waiting))
            del self._waiting[leg]
            written += leg.pass_on()
        data = b"".join(self.out)
        self.out.clear()
        return data

    # Time.

    def next_deadline(self) -> float:
        """When `on_deadline` should be called."""
        return self._heard_at + self._silence_seconds * (1.0 if self._is_pinged else 0.5)

    def on_deadline(self, now: float) -> None:
        """Ask a backend that was silent whether it is there, give up one that does not answer, end what nobody uses."""
        if self._calls:
            self._idle_since = now
        if now - self._late_since >= LATE_SECONDS:
            self._late_since = now
            self._late_frames = max(self._late_frames // 2, min(self._late_frames, LATE_FRAMES))
        if now < self.next_deadline() or self.is_ended:
            return
        if self._is_pinged:
            self.lose(BackendDown(BackendFault.LOST, f"it said nothing for {self._silence_seconds:g} s, not even pong"))
        elif not self._calls and now - self._idle_since >= IDLE_SECONDS:
            self.end("no calls")
        else:
            self._is_pinged = True
            self.out.append(mux.frame(mux.PING, 0, b"sottovo!"))
        self.flush()

    def end(self, reason: str) -> None:
        """Take leave of a backend on whose connection there is no call."""
        self.is_ended = True
        self.out.append(mux.encode_goaway(reason))

    # How it is done.

    def _hear_of_no_call(self, kind: int, number: int, body: bytes) -> None:
        """Take a frame of the connection, or one of a call that is over.  Raises BackendDown."""
        if number > self._last_call:
            raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"a frame of call {number}, which there never was")
        if number:
            self._take_late(kind)
        elif kind in {mux.PING, mux.PONG}:
            if len(body) != mux.PING_BYTES:
                raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"a {mux.NAMES[kind]} of {len(body)} bytes")
            if kind == mux.PING:
                self._pong = body  # the newest is answered, whatever it was in between
        elif kind == mux.GOAWAY:
            self._is_draining = True
        elif kind == mux.ERROR:
            raise BackendDown(BackendFault.FAILED, f"it gave the connection up: {mux.decode_why_untrusted(body)}")
        elif kind < mux.FIRST_IGNORED:
            raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"{mux.named(kind)} of no call")

    def _take_late(self, kind: int) -> None:
        """A frame behind the end of its call, which it crossed, or which a fault of its own brought about."""
        if kind in mux.UNCOUNTED or kind >= mux.FIRST_IGNORED:
            return
        self._late_frames -= 1
        if self._late_frames < 0:
            raise BackendMisbehaved(BackendFault.FLOOD, "it goes on sending in calls that are over")


def _tell(leg: MuxLeg, kind: int, body: bytes, now: float) -> None:
    """Give a frame to its call.  Raises BackendMisbehaved."""
    if kind in mux.OF_A_CALL:
        leg.hear(kind, body, now)
    elif kind < mux.FIRST_IGNORED:
        what = "not in this direction" if kind in mux.OTHER_WAY else "not in a call"
        raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"{mux.named(kind)}, {what}")
