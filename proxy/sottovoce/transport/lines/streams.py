"""A line over any Trio stream: a task that reads, a task that writes.

For what is no socket: TLS to a backend, streams in memory.  The tasks are the line's own, so that it is the same to its
user where it was begun and by whom it is cancelled; they end in `release`, at the latest.
"""

from contextlib import suppress
from typing import Final

import trio

from sottovoce.transport.lines.line import TURN_BYTES, LineUser

_PIECE_BYTES: Final = 16_384
"""Written at once: what has left is counted in such pieces."""
_LAST_WORDS_SECONDS: Final = 1.0
"""For reading what a peer said before a write to it failed."""


class StreamLine:
    """A `Line`."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        """Borrow `stream`."""
        self._stream = stream
        self._user: LineUser | None = None
        self._rest = b""
        self._is_held = True
        self._is_broken = False
        self._is_told = False
        self._idle_reader = trio.lowlevel.ParkingLot()
        self._idle_writer = trio.lowlevel.ParkingLot()
        self._running = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._has_read_all = trio.Event()
        self._is_done = trio.Event()
        self.is_clogged = False
        self.sent_bytes = 0

    def begin(self, user: LineUser) -> None:
        """See `Line`."""
        self._user = user
        trio.lowlevel.spawn_system_task(self._run, user, name="sottovoce line")

    def hold(self) -> None:
        """See `Line`."""
        self._is_held = True

    def resume(self) -> None:
        """See `Line`."""
        self._is_held = False
        self._idle_reader.unpark_all()

    def write(self, data: bytes) -> bool:
        """See `Line`."""
        if data and not self._is_broken:
            self._rest += data
            self.is_clogged = True
            self._idle_writer.unpark_all()
        return self.is_clogged

    async def release(self) -> None:
        """See `Line`."""
        self._running.cancel()
        if self._user is not None:
            with trio.CancelScope(shield=True):
                await self._is_done.wait()
        self._close()
        self._user, self.is_clogged = None, False
        await trio.lowlevel.cancel_shielded_checkpoint()

    def _close(self) -> None:
        self._is_broken, self._rest = True, b""

    async def _run(self, user: LineUser) -> None:
        try:
            with self._running:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, user)
                    with self._reading:
                        await self._read(user)
                    self._has_read_all.set()
                    await trio.sleep_forever()  # what waits to be written still is
        except* Exception as crash:  # noqa: BLE001  a system task that raises would take the program down
            self._close()
            user.crashed(crash.exceptions[0])
        finally:
            self._is_done.set()

    async def _read(self, user: LineUser) -> None:
        reason = ""
        with suppress(trio.ClosedResourceError):
            try:
                while True:
                    await self._wait_until_resumed()
                    data = await self._stream.receive_some(TURN_BYTES)
                    await self._wait_until_resumed()
                    if not data or self._is_told:
                        break
                    user.received(bytes(data))
            except trio.BrokenResourceError as error:
                await self._wait_until_resumed()
                reason = str(error) or "the connection broke"
            self._tell_end(user, reason)

    async def _wait_until_resumed(self) -> None:
        while self._is_held:
            await self._idle_reader.park()

    async def _write(self, user: LineUser) -> None:
        try:
            while True:
                while not self._rest:
                    await self._idle_writer.park()
                piece = self._rest[:_PIECE_BYTES]
                await self._stream.send_all(piece)
                self.sent_bytes += len(piece)
                self._rest = self._rest[len(piece) :]
                if not self._rest:
                    self.is_clogged = False
                    user.drained()
        except trio.ClosedResourceError:
            return
        except trio.BrokenResourceError as error:
            self._close()
            self.is_clogged = False
            user.drained()
            await self._leave_last_words_their_time()
            self._tell_end(user, str(error) or "the connection broke")

    async def _leave_last_words_their_time(self) -> None:
        """Let what the peer said be read; time does not count while nobody wants to."""
        while not self._has_read_all.is_set():
            await self._wait_until_resumed()
            with trio.move_on_after(_LAST_WORDS_SECONDS):
                await self._has_read_all.wait()
            if not self._is_held:
                self._reading.cancel()
                return

    def _tell_end(self, user: LineUser, reason: str) -> None:
        if not self._is_told:
            self._is_told = True
            user.lost(reason)
