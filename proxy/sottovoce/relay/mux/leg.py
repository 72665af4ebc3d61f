"""One call on a shared connection.  Pure: it is told what came, and puts frames into the connection's list.

The quick way of a frame: there is credit, nothing waits, and the connection takes bytes; then a header and the payload
go into the list, which is written behind the hub's turn.  Otherwise it waits here, where the oldest audio makes room;
so what a call cannot send costs that call, and no other.

A leg hears until its backend has ended, or the edge said `stop`, and talks until it has sent its last frame: `stop`, or
`error` where the backend broke the contract.  Between the two a backend that hung up is still talked to.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from sottovoce.relay.call import CallEnd, CallSink, CallStart, LegStatistics
from sottovoce.relay.errors import BackendDown, BackendFault, BackendMisbehaved
from sottovoce.relay.link.outbound import OutboundQueue
from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.inbound import GRANT_BELOW, Inbound

_AT_ONCE: Final = 16
"""Frames of one call that waited and are passed on, before another call's turn."""


class Carrier(Protocol):
    """The connection, as its legs see it."""

    out: list[bytes]
    """Frames to be written behind this turn."""
    is_clogged: bool

    def wait(self, leg: "MuxLeg") -> None:
        """Have `pass_on` called as soon as the connection takes bytes."""
        ...

    def flush(self) -> None:
        """Have written what is there, behind this turn."""
        ...

    def forget(self, leg: "MuxLeg") -> None:
        """The leg has sent its last frame; frames of the backend may still be on their way."""
        ...


class MuxLeg:
    """A `Leg`.  Until `begin` the sink hears nothing; then also of an end that an opened call has had already.

    The end of a call that was not opened is its `refusal`.
    """

    __slots__ = (
        "_carrier",
        "_changed",
        "_credit",
        "_head",
        "_head_bytes",
        "_inbound",
        "_is_begun",
        "_queue",
        "_sink",
        "_talks",
        "_untold",
        "_written",
        "flush",
        "hear_audio",
        "is_touched",
        "number",
        "refusal",
    )

    def __init__(  # noqa: PLR0913  what a call is made of
        self,
        carrier: Carrier,
        number: int,
        start: CallStart,
        sink: CallSink,
        *,
        queue_frames: int,
        now: float,
        changed: Callable[[], None],
    ) -> None:
        """`number` is the call's on its connection; `changed` is told once the backend has answered, or will not."""
        self.number = number
        self._carrier = carrier
        self.flush = carrier.flush
        """Have the connection written behind this turn."""
        self._sink = sink
        self._inbound = Inbound(start, sink, now)
        self.hear_audio = self._inbound.hear_audio
        """Takes a frame of audio, the quick way; see `Inbound`."""
        self._queue = OutboundQueue(queue_frames)
        self._changed = changed
        self._credit = 0
        self._written = 0
        self._head, self._head_bytes = b"", -1
        self._talks = True
        self._is_begun = False
        self._untold: Callable[[], None] | None = None
        self.is_touched = False
        """Whether it is among those that the connection settles behind what has come."""
        self.refusal: BackendDown | None = None
        """Why the backend has not taken the call, and will not."""

    @property
    def is_opened(self) -> bool:
        """Whether the backend has taken the call."""
        return self._inbound.is_opened

    @property
    def hears(self) -> bool:
        """Whether the call goes on, as far as the backend and the edge have said."""
        return not self._inbound.is_deaf

    @property
    def statistics(self) -> LegStatistics:
        """What was written, heard and dropped so far."""
        return LegStatistics(
            frames_to_backend=self._written,
            frames_from_backend=self._inbound.meter.frames,
            frames_dropped_to_backend=self._queue.dropped_frames,
            frames_dropped_from_backend=self._inbound.meter.dropped_frames,
        )

    # What the edge says.

    def audio(self, payload: bytes, lost_before: int) -> None:
        """Send a frame, or queue it; then the oldest that waits is dropped when there is no room."""
        carrier = self._carrier
        if lost_before or self._credit <= 0 or carrier.is_clogged or self._queue.items:
            if self._talks:
                self._queue.put_audio(payload, lost_before)
                carrier.wait(self)
            return
        self._credit -= 1
        self._written += 1
        length = len(payload)
        if length != self._head_bytes:
            self._head, self._head_bytes = mux.HEADER.pack(length, self.number, mux.AUDIO), length
        carrier.out.append(self._head + payload)

    def data(self, data: bytes) -> None:
        """Send a data frame, or queue it."""
        self._say(mux.frame(mux.DATA, self.number, data))

    def dtmf(self, event: int, duration_ms: int) -> None:
        """Send a key press, or queue it."""
        self._say(mux.encode_dtmf(self.number, event, duration_ms))

    def mark_played(self, name: str) -> None:
        """Send a mark's answer, or queue it."""
        self._say(mux.frame(mux.MARK, self.number, name.encode()))

    def mute(self, *, muted: bool) -> None:
        """Send the microphone's state, or queue it."""
        self._say(mux.frame(mux.MUTE, self.number, muted.to_bytes(1)))

    def json(self, data: bytes) -> None:
        """Send a JSON object, or queue it."""
        self._say(mux.frame(mux.JSON, self.number, data))

    def stop(self, end: CallEnd) -> None:
        """Send what may still be sent, and the call's last frame behind it; what waits for credit is dropped."""
        self._inbound.is_deaf = True
        if self._talks:
            while self._queue.items and self._credit > 0:
                self._send_oldest()
            self._drop_what_waits()
            self._finish(mux.encode_stop(self.number, end, self.statistics))

    # What the route says.

    def begin(self) -> None:
        """The edge has the leg from now on: let the backend speak, or tell of an end that has come already."""
        self._is_begun = True
        if self._untold is not None:
            self._untold()
            self._sink.flush()
        else:
            self._grant()

    def leave(self, code: str, reason: str) -> None:
        """Give the call up, if its end was not told."""
        self._inbound.is_deaf = True
        if self._talks:
            self._finish(mux.encode_error(self.number, code, reason))

    # What the connection says.

    def hear(self, kind: int, body: bytes, now: float) -> None:
        """Take any other frame.  Raises BackendMisbehaved."""
        if kind == mux.CREDIT:
            self._take_credit(mux.decode_credit_untrusted(body))
        elif not self.hears:
            return
        elif kind in mux.PAID:
            self._inbound.hear(kind, body, now)
        elif kind == mux.STOP:
            self._hang_up(mux.decode_hang_up_untrusted(body))
        elif kind == mux.ERROR:
            self._end(BackendDown(BackendFault.FAILED, f"it gave the call up: {mux.decode_why_untrusted(body)}"))
        elif self.is_opened:
            raise BackendMisbehaved(BackendFault.BAD_FRAMING, "it answered an `open` twice")
        elif kind == mux.OPENED:
            self._inbound.is_opened = True
            self._changed()
            if body:
                raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"an opened with {len(body)} bytes, not 0")
        else:
            self._talks = False
            self._carrier.forget(self)
            self._end(BackendDown(BackendFault.REFUSED, mux.decode_why_untrusted(body)))

    def settle(self) -> None:
        """Have go out what has come, and let the backend say more if there is room for it."""
        self._sink.flush()
        if (
            self._inbound.allowance <= GRANT_BELOW
            and self._is_begun
            and self.hears
            and self._sink.has_room(self._grant)
        ):
            self._grant()

    def pass_on(self) -> int:
        """Send what waited, but not more than is fair; give its bytes.  With more to send, wait again."""
        before = len(self._carrier.out)
        for _ in range(_AT_ONCE):
            if not self._queue.items or self._credit <= 0:
                break
            self._send_oldest()
        self._carrier.wait(self)
        return sum(map(len, self._carrier.out[before:]))

    @property
    def wants_to_send(self) -> bool:
        """Whether something waits that may be sent."""
        return self._credit > 0 and bool(self._queue.items)

    def fail(self, down: BackendDown) -> None:
        """The backend broke the contract in this call: tell it, and the sink."""
        self._drop_what_waits()
        self._finish(mux.encode_error(self.number, down.fault.value, down.detail))
        self._end(down)

    def crash(self, error: Exception) -> None:
        """Our own fault: this call ends, without another word to a sink that may be the one at fault."""
        self._inbound.is_deaf = True
        self._drop_what_waits()
        self._finish(mux.encode_error(self.number, "internal", "a fault in the proxy"))
        down = BackendDown(BackendFault.LOST, f"a fault in the proxy: {type(error).__name__}")
        self._tell_of_end(partial(self._sink.crashed, error), down)

    def lose(self, down: BackendDown) -> None:
        """The connection is over."""
        self._talks = False
        self._credit = 0
        self._drop_what_waits()
        self._end(down)

    # How it is done.

    def _say(self, framed: bytes) -> None:
        if not self._talks:
            return
        try:
            self._queue.put_control(framed)
        except BackendDown as down:
            self.fail(down)
            return
        if self._carrier.is_clogged:
            self._carrier.wait(self)
            return
        while self.wants_to_send:
            self._send_oldest()

    def _send_oldest(self) -> None:
        item = self._queue.take()
        self._credit -= 1
        if isinstance(item, tuple):
            self._written += 1
            payload, lost_before = item
            if lost_before:
                self._carrier.out.append(mux.encode_audio_behind_a_hole(self.number, payload, lost_before))
            else:
                self._carrier.out.append(mux.frame(mux.AUDIO, self.number, payload))
        elif isinstance(item, bytes):
            self._written += item[mux.HEADER_BYTES - 1] == mux.DATA
            self._carrier.out.append(item)

    def _drop_what_waits(self) -> None:
        self._queue.dropped_frames += sum(isinstance(item, tuple) for item in self._queue.drain())

    def _finish(self, last: bytes) -> None:
        """Send the call's last frame."""
        if not self._talks:
            return
        self._talks = False
        self._credit = 0
        carrier = self._carrier
        carrier.out.append(last)
        carrier.forget(self)
        carrier.flush()

    def _take_credit(self, count: int) -> None:
        if not self.is_opened:
            raise self._inbound.untimely(mux.CREDIT)
        if self._credit + count > mux.MAX_CREDIT:
            raise BackendMisbehaved(BackendFault.FLOOD, "more credit than can be counted")
        if self._talks:
            self._credit += count
            self._carrier.wait(self)
            self._carrier.flush()

    def _grant(self) -> None:
        """Let the backend send as much more as has been taken."""
        if self.hears and (count := self._inbound.grant()):
            self._carrier.out.append(mux.encode_credit(self.number, count))
            self._carrier.flush()

    def _hang_up(self, reason: str) -> None:
        if not self.is_opened:
            raise self._inbound.untimely(mux.STOP)
        self._inbound.is_deaf = True
        self._tell_of_end(partial(self._sink.hung_up, reason))

    def _end(self, down: BackendDown) -> None:
        """Tell of an end, if nobody has heard of one yet."""
        if not self.hears:
            return
        self._inbound.is_deaf = True
        self._tell_of_end(partial(self._sink.backend_closed, str(down)), down)

    def _tell_of_end(self, tell: Callable[[], None], down: BackendDown | None = None) -> None:
        """Tell the sink once there is one, or whoever waits for `opened` that there will be no call."""
        if self._is_begun:
            tell()
        elif self.is_opened:
            self._untold = tell  # and never tried again: the backend has begun with it
        else:
            self.refusal = down
            self._changed()
