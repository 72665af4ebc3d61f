"""What goes out to a call's client: sealed when it can be written, and not before.

A sealed record must be written, or the client sees a gap (docs/protocol.md §7), and what is not sealed yet can still be
dropped.  So nothing is sealed while the connection is clogged.
"""

from collections.abc import Callable

import trio

from sottovoce.edge.call.carrier import Carrier
from sottovoce.edge.call.vigil import Vigil
from sottovoce.edge.outbound import ClientQueue, ClientSink
from sottovoce.session import ServerSession
from sottovoce.transport import Clock
from sottovoce.wire import Code


class Outlet:
    """One call's.  `wake_clock` is told when something new falls due."""

    def __init__(  # noqa: PLR0913, PLR0917  what a frame passes on its way out
        self,
        queue: ClientQueue,
        session: ServerSession,
        carrier: Carrier,
        clock: Clock,
        vigil: Vigil,
        wake_clock: Callable[[], object],
        end: Callable[[Code, str], None],
        first_word: Callable[[], None],
    ) -> None:
        """Write what `queue` and `session` have to say; `end` and `first_word` are the sink's."""
        self._queue = queue
        self._session = session
        self._carrier = carrier
        self._clock = clock
        self._vigil = vigil
        self._wake_clock = wake_clock
        self._sealed: list[bytes] = []  # nothing was in their way: to be written first
        self._is_writing = False
        self._is_leaving = False
        self._has_written_all = trio.Event()
        self.sink = ClientSink(queue, self._audio, self.write, end, first_word)
        """Where the backend puts what it says."""
        self.close_code: int | None = None
        """Of the WebSocket's close, to be written behind all that waits."""

    @property
    def has_news(self) -> bool:
        """Whether there is something to write but what the session says."""
        return bool(self._sealed or self._queue.items or self._carrier.owed)

    def write(self) -> None:
        """Write what waits, all of it, unless what was written before has not left."""
        carrier = self._carrier
        if self._is_writing or carrier.is_clogged:
            return
        if self.has_news or self._session.has_news or self.close_code is not None:
            self._is_writing = True
            try:
                while self._write_once():
                    pass  # to take something from the queue may have ended the session
            finally:
                self._is_writing = False
        if self._is_leaving and not carrier.is_clogged:
            self._has_written_all.set()

    async def write_the_rest(self) -> None:
        """Wait until all has been written."""
        self._is_leaving = True
        self.write()
        await self._has_written_all.wait()

    def let_go(self) -> None:
        """Nothing is written any more: outlet and sink, which know each other, are to be freed at once."""
        del self.sink

    def _audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """Seal a frame of the backend where it can be written now; else it waits.  `write` follows."""
        queue, session = self._queue, self._session
        if not (queue.items or self._carrier.is_clogged or queue.is_paced or self._is_writing or session.has_news):
            record = session.seal_audio(codec_bytes, self._clock.now(), flags=flags, timestamp=timestamp)
            if record is not None:
                self._sealed.append(record)
                queue.sealed_frames += 1
                return
        queue.put_audio((codec_bytes, flags, timestamp))

    def _write_once(self) -> bool:
        """Seal and write; whether there is more, and room for it."""
        now, session, queue = self._clock.now(), self._session, self._queue
        records, self._sealed = self._sealed, []
        if queue.items:
            queue.seal_into(records, session, now)
            self.sink.look()
        elif session.has_news:
            records += session.to_send()
        close_code, self.close_code = self.close_code, None
        self._carrier.write(records, close_code)
        if queue.items and not queue.is_paced and session.may_send(now):
            self._vigil.retry(now)
            self._wake_clock()
        if self._carrier.is_clogged:
            self._wake_clock()  # the client's time is counted
            return False
        return self.close_code is not None
