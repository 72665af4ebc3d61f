"""Moves the bytes of one call between its machine and a Trio stream, and keeps its time.

Two tasks under one system task: one reads and minds the deadlines, the other writes what the machine has to say by
itself.  So a server that does not read never keeps us from reading, or from noticing that a key is too old.  What the
user says is written by the user's own task, under the same lock: that is the backpressure.
"""

from collections.abc import Callable

import trio

from sottovoce.client.items import Item
from sottovoce.client.machine import CallMachine
from sottovoce.client.shell import LAST_WORDS_SECONDS, Standing
from sottovoce.client.trio.turn import take_turn
from sottovoce.transport import READ_BYTES, Clock


class Link(Standing):
    """One call's connection; start with `spawn_system_task(link.run)`.  After a cancellation it can be used on."""

    def __init__(self, machine: CallMachine, stream: trio.abc.Stream, clock: Clock) -> None:
        super().__init__(machine, clock)
        self._stream = stream
        self.news = trio.lowlevel.ParkingLot()  # the machine may have changed: for readers, and who may not send
        self._pen = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._saying = trio.StrictFIFOLock()  # the order of what users say
        self._writing = trio.StrictFIFOLock()  # over sealing and writing: records leave in the order of their sealing
        self._wait = trio.CancelScope()
        self._closed = trio.Event()

    async def run(self) -> None:
        """Serve the call until it is over and the stream closed.  Raises nothing but Cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_when_asked)
                await self._read_until_over()
                with trio.move_on_after(LAST_WORDS_SECONDS):
                    async with self._writing:
                        await self._write()
                nursery.cancel_scope.cancel()
        except* Exception as crash:  # noqa: BLE001  a system task that raises would take the program down
            self.crashed(crash)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)
            self._closed.set()
            self.news.unpark_all()

    async def next_item(self) -> Item | None:
        """Wait for the next item; None behind the last one.  Raises the call's failure.  Cancelled, it took nothing."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while (item := self.take()) is None and not self.has_told:
            self._room.unpark_all()
            await self.news.park()
        self._room.unpark_all()
        await trio.lowlevel.cancel_shielded_checkpoint()  # the item is taken: cancelled from here on it would be lost
        return self.told(item)

    async def say(self, seal: Callable[[float], bool]) -> None:
        """Have something sealed, as soon as it may be, and write it.  Raises CallError if the call is over, or ends."""
        await take_turn(self._saying)
        try:
            while not await self._say_once(seal):
                self._settle()
                if self.has_ended:
                    raise self.why_not()
                with trio.move_on_after(self.retry_seconds()):
                    await self.news.park()
        finally:
            self._saying.release()

    async def close(self, code: int) -> None:
        """End the call and wait until the connection is closed.  Cancelled, it waits for a second at most."""
        self.machine.close(self._clock.now(), code)
        self._settle()
        try:
            await self._closed.wait()
        except trio.Cancelled:
            self.machine.drop(self._clock.now())
            self._settle()
            with trio.CancelScope(shield=True):
                await self._closed.wait()
            raise

    async def _say_once(self, seal: Callable[[float], bool]) -> bool:
        await take_turn(self._writing)
        try:
            await trio.lowlevel.checkpoint_if_cancelled()  # the last moment at which nothing has been sent
            if self.has_ended or not seal(self._clock.now()):
                return False
            if await self._write():
                return True
        finally:
            self._writing.release()
        await self._closed.wait()
        raise self.why_not()

    async def _read_until_over(self) -> None:
        while not self.machine.is_over:
            data = None
            with trio.CancelScope(deadline=trio.current_time() + self.patience()) as self._wait:
                data = await self._read()
            now = self._clock.now()
            if data:
                self.machine.receive(bytes(data), now)
            elif data is not None:
                self.machine.receive_eof(now)
            self.machine.on_deadline(now)
            self._settle()

    async def _read(self) -> bytes | bytearray | None:
        """Wait for bytes; None: there was no room for any, and there may be now.  Empty: there will be no more."""
        if not self.machine.wants_more:
            await self._room.park()
            return None
        try:
            return await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    @trio.lowlevel.enable_ki_protection  # a system task has it, the tasks that it starts have not
    async def _write_when_asked(self) -> None:
        while True:
            async with self._writing:
                await self._write()
            await self._pen.park()

    async def _write(self) -> bool:
        """Write all there is, with the lock held.  False: the connection is broken; why, the reader will hear."""
        while data := self.machine.to_send():
            try:
                await self._stream.send_all(data)
            except (trio.Cancelled, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                is_cancelled = isinstance(error, trio.Cancelled)
                self.machine.write_failed(self._clock.now(), cancelled=is_cancelled)
                self._settle()
                if is_cancelled:
                    raise
                return False
        return True

    def _settle(self) -> None:
        """After a call of the machine: wake whoever waits for what it may have changed."""
        if self.machine.has_output:
            self._pen.unpark_all()
        self.news.unpark_all()
        self._room.unpark_all()
        self._wait.deadline = trio.current_time() + self.patience()
