"""One call's connection to its backend: a queue, a line, and the ways it can end.

Not here: what the messages say (`Dialect`), how they stand in the stream (`Framing`, which is WebSocket for most), how
the connection came to be (`dial`), how much may wait or come (`outbound`, `pace`).  The edge calls the leg
synchronously; a call puts something into the queue, and `flush` writes all that waits at once, unless what was written
before has not left.  So a burst costs one write, and a backend that does not read holds up nobody.

A leg *hears* until the backend is down, has hung up, or the edge said `stop`: until then, and no longer, the sink is
told.  It *talks* until either side begins to close.  A backend that hung up is still talked to.  A write that fails
ends only the talking: what the backend said before it went, its `stop` above all, is read first.  The edge says `stop`
from within the call that tells it of an end, so talking is always settled before.
"""

from collections.abc import Iterable

import trio

from sottovoce.primitives import one_line
from sottovoce.relay.call import CallEnd, CallSink, CallStart, LegStatistics
from sottovoce.relay.errors import BackendDown, BackendFault, BackendMisbehaved
from sottovoce.relay.link.dial import Link
from sottovoce.relay.link.dialect import Dialect, Later, MeteredSink
from sottovoce.relay.link.outbound import Control, OutboundQueue
from sottovoce.transport import Alarm, PeerClosed, TextMessage, WsEvent, WsFailed, line_over

MAX_REPLY_BYTES = 65_536
"""Answers to pings that may wait for a backend that does not read them."""
CLOSE_NORMAL = 1000
CLOSE_POLICY = 1008
"""RFC 6455 §7.4.1: a message that violates the endpoint's policy."""


class _TrioClock:
    """What dialects know the time by."""

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        raise NotImplementedError


class BackendLeg:
    """The `Leg` of every adapter that has a connection for each call.  Its line pushes what comes, from `begin` on."""

    __slots__ = (
        "_alarm",
        "_close_code",
        "_dialect",
        "_early",
        "_finished",
        "_framing",
        "_hears",
        "_inbox",
        "_is_finished",
        "_is_released",
        "_line",
        "_now",
        "_queue",
        "_replies",
        "_sink",
        "_talks",
        "_written_frames",
    )

    def __init__(self, link: Link, dialect: Dialect, start: CallStart, sink: CallSink, queue_frames: int) -> None:
        """Queue the dialect's opening messages."""
        self._framing = link.framing
        self._early = link.early
        self._line = line_over(link.stream)
        self._dialect = dialect
        self._sink = sink
        self._now = trio.lowlevel.current_clock().current_time
        self._inbox = MeteredSink(start, sink, self._now())
        self._queue = OutboundQueue(queue_frames)
        self._written_frames = 0
        self._replies = b""
        self._hears = True
        self._talks = True
        self._close_code: int | None = None
        self._is_finished = self._is_released = False
        self._finished: trio.Event | None = None  # for whoever waits
        self._alarm = Alarm(_TrioClock(), self._keep_pace) if dialect.is_paced else None
        for message in dialect.start():
            self._queue.put_control(message)

    @property
    def is_closing(self) -> bool:
        """Whether closing has begun, so that leaving should give it a moment."""
        return not self._talks

    @property
    def statistics(self) -> LegStatistics:
        """What was written, heard and dropped so far."""
        return LegStatistics(
            frames_to_backend=self._written_frames,
            frames_from_backend=self._inbox.frames,
            frames_dropped_to_backend=self._queue.dropped_frames,
            frames_dropped_from_backend=self._inbox.dropped_frames,
        )

    def audio(self, payload: bytes, lost_before: int) -> None:
        """Encode a frame that can be written now; else queue it: the oldest is dropped when there is no room."""
        if not self._talks:
            return
        if self._queue.items or self._line.is_clogged or not self._framing.is_open:
            self._queue.put_audio(payload, lost_before)
            return
        self._written_frames += 1
        message = self._dialect.audio(payload, lost_before)
        if isinstance(message, bytes):
            self._framing.send_binary(message)
        else:
            self._send_all(message)

    def data(self, data: bytes) -> None:
        """Queue a data frame."""
        self._put(data)

    def dtmf(self, event: int, duration_ms: int) -> None:
        """Queue a key press."""
        self._put(self._dialect.dtmf(event, duration_ms))

    def mark_played(self, name: str) -> None:
        """Queue a mark's answer."""
        self._put(self._dialect.mark_played(name))

    def mute(self, *, muted: bool) -> None:
        """Queue the microphone's state."""
        self._put(self._dialect.mute(muted=muted))

    def json(self, data: bytes) -> None:
        """Queue a JSON object."""
        self._put(self._dialect.json(data))

    def stop(self, end: CallEnd) -> None:
        """Stop hearing; queue the last message and the close behind all that waits."""
        self._hears = False
        self._put(self._dialect.stop(end, self.statistics))
        self._close(CLOSE_NORMAL)
        self.flush()

    def flush(self) -> None:
        """Write what is queued, all of it, up to the end of the closing."""
        framing, line = self._framing, self._line
        if self._queue.items or self._replies or not self._talks:
            pass
        elif not framing.outgoing:
            return
        elif framing.is_open and not line.is_clogged:  # nothing but what was encoded as it came
            line.write(framing.to_send())
            return
        if line.is_clogged:
            return
        data = self._bytes_to_write()
        if data:
            line.write(data)
        if framing.is_over and not line.is_clogged:
            self._finish()

    def fall_silent(self) -> None:
        """Tell the sink nothing more: its call is over."""
        self._hears = False

    def begin(self) -> None:
        """Serve, until the connection is over or `release` is called; nothing if it was.

        The edge may have flushed before: what came with the answer to the upgrade is heard all the same.
        """
        if self._is_released:
            return
        try:
            self._receive(self._early)
            if self._alarm is not None:
                self._set_alarm(self._alarm)
            self._line.begin(self)
            self._line.resume()
            self._sink.flush()
            self.flush()
        except Exception as error:  # noqa: BLE001  our own fault, in one call
            self.crashed(error)

    async def wait_finished(self) -> None:
        """Wait until nothing more will be read or written: the connection is over."""
        if not self._is_finished:
            self._finished = self._finished or trio.Event()
            await self._finished.wait()

    async def release(self) -> None:
        """Serve no longer: the stream is its owner's again."""
        self._is_released = True
        self._finish()
        if self._alarm is not None:
            self._alarm.drop()
        await self._line.release()

    # What the line tells.

    def received(self, data: bytes) -> None:
        """Take what the backend said, and answer."""
        self._inbox.now = self._now()
        message = self._framing.receive_message(data) if self._hears else None
        if message is None:
            self._receive(self._framing.receive(data))
        else:
            self._hear(message)
        if self._alarm is not None:
            self._set_alarm(self._alarm)
        if self._framing.outgoing:
            self._take_replies()
        sink = self._sink
        sink.flush()
        self.flush()
        if self._is_finished or not sink.has_room(self._line.resume):
            self._line.hold()

    def drained(self) -> None:
        """Write what has come up meanwhile."""
        self.flush()

    def lost(self, reason: str) -> None:
        """Count the connection as over."""
        for event in [] if reason else self._framing.receive_eof():
            if isinstance(event, WsFailed):
                reason = event.reason
            else:
                self._receive([event])
        self._give_up(_lost(reason))
        self._sink.flush()

    def crashed(self, error: Exception) -> None:
        """End; the call is told."""
        self._hears = False
        self._finish()
        self._sink.crashed(error)

    def _set_alarm(self, alarm: Alarm) -> None:
        deadline = self._dialect.deadline()
        if deadline is not None:
            alarm.set(deadline)

    def _keep_pace(self, now: float) -> None:
        """Let the dialect say in its own time what it has heard."""
        if self._alarm is None or not self._hears:
            return
        try:
            self._inbox.now = now
            self._hear(None)
            self._sink.flush()
            self.flush()
            self._set_alarm(self._alarm)
        except Exception as error:  # noqa: BLE001  our own fault, in one call
            self.crashed(error)

    def _finish(self) -> None:
        self._is_finished = True
        if self._finished is not None:
            self._finished.set()

    def _put(self, message: Control | None) -> None:
        if message is None or not self._talks:
            return
        try:
            self._queue.put_control(message)
        except BackendDown as down:
            self._give_up(down)  # It does not read, so it would not read a close either.

    def _bytes_to_write(self) -> bytes:
        framing = self._framing
        if not framing.is_open:  # what ended it may be among events that nobody has looked at yet
            self._end_talk()
        for item in self._queue.drain():
            if isinstance(item, tuple):
                self._written_frames += 1
                message = self._dialect.audio(*item)  # encoded only now that the hole before it is known
            elif isinstance(item, Later):
                message = item.messages()
            else:
                message = item
            self._send_all(message)
        if self._close_code is not None:
            framing.close(self._close_code)
            self._close_code = None
        replies, self._replies = self._replies, b""
        return replies + framing.to_send()

    def _send_all(self, message: bytes | str | Iterable[bytes | str]) -> None:
        for each in (message,) if isinstance(message, bytes | str) else message:
            self._send(each)

    def _send(self, message: bytes | str) -> None:
        if isinstance(message, bytes):
            self._framing.send_binary(message)
        else:
            self._framing.send_text(message)

    def _receive(self, events: list[WsEvent]) -> None:
        for event in events:
            if isinstance(event, bytes):
                if self._hears:
                    self._hear(event)
            elif isinstance(event, PeerClosed):
                self._end_talk()
                if self._hears:
                    self._hear(event)
                self._fail(BackendDown(BackendFault.CLOSED, f"without a stop, code {event.code}"))
            elif isinstance(event, WsFailed):
                self._end_talk()
                self._fail(BackendDown(BackendFault.BAD_FRAMING, one_line(event.reason)))
            elif self._hears:
                self._hear(event)

    def _hear(self, message: WsEvent | None) -> None:
        """Let the dialect take a message, or say what is due."""
        try:
            if isinstance(message, bytes):
                self._dialect.receive_binary(message, self._inbox)
            elif isinstance(message, TextMessage):
                self._dialect.receive_text(message.text, self._inbox)
            elif isinstance(message, PeerClosed):
                self._dialect.closed(message.code, self._inbox)
            elif message is None:
                self._dialect.fire(self._inbox)
        except BackendMisbehaved as fault:
            self._queue.drain()
            self._close(CLOSE_POLICY)
            self._fail(fault)
        if self._inbox.answers:
            answers, self._inbox.answers = self._inbox.answers, []
            for answer in answers:
                self._put(answer)
        if self._inbox.hang_up is not None and self._hears:
            self._hears = False
            self._sink.hung_up(self._inbox.hang_up)

    def _take_replies(self) -> None:
        """Keep what the framing wants to answer by itself: what was written before may not have left."""
        self._replies += self._framing.to_send()
        if len(self._replies) > MAX_REPLY_BYTES:
            self._give_up(BackendDown(BackendFault.FLOOD, "it sends pings and does not read the answers"))

    def _close(self, code: int) -> None:
        """Begin the closing handshake behind all that is queued."""
        if self._talks:
            self._talks = False
            self._close_code = code

    def _end_talk(self) -> None:
        """Drop what was not written: no more messages are taken."""
        self._talks = False
        self._close_code = None
        self._queue.drain()

    def _fail(self, down: BackendDown) -> None:
        """Tell the sink, if it has not heard of an end yet."""
        if self._hears:
            self._hears = False
            self._sink.backend_closed(str(down))

    def _give_up(self, down: BackendDown) -> None:
        """Count the connection as over, without a closing handshake."""
        self._end_talk()
        self._fail(down)
        self._finish()


def _lost(detail: str) -> BackendDown:
    return BackendDown(BackendFault.LOST, one_line(detail) or "the connection broke")
