"""Moves the bytes of one call between its machine and a Trio stream, and keeps its time.

Two tasks under one system task: one reads and minds the deadlines, the other writes what the machine has to say by
itself.  So a server that does not read never keeps us from reading, or from noticing that a key is too old.  What the
user says is written by the user's own task, under the same lock: that is the backpressure.
"""

from collections.abc import Callable
from contextlib import suppress

import trio

from sottovoce.client.errors import CallEnded, CallError, InternalFault
from sottovoce.client.items import Ended, Item
from sottovoce.client.machine import CallMachine
from sottovoce.transport import READ_BYTES, Clock
from sottovoce.wire import SENT_CONTROL_FRAMES_PER_SECOND, Code

_LAST_WORDS_SECONDS = 1.0
"""For the last bytes of a call that is over: an alert, a goodbye, close_notify."""
_LOOK_AGAIN_SECONDS = 30.0
"""Trio's clock stands still while the computer sleeps, the call's does not: so we never wait for longer than this."""
_SHORTEST_WAIT_SECONDS = 0.001
_CONTROL_INTERVAL_SECONDS = 1 / SENT_CONTROL_FRAMES_PER_SECOND
"""A refused control frame may go as soon as the next token is there."""


class Link:
    """One call's connection.  After a cancellation it can be used on, if only to learn how the call ended."""

    def __init__(self, machine: CallMachine, stream: trio.abc.Stream, clock: Clock) -> None:
        """Take over `stream`; start with `spawn_system_task(link.run)`."""
        self.machine = machine
        self._stream = stream
        self._clock = clock
        self.news = trio.lowlevel.ParkingLot()
        """Woken whenever the machine may have changed: readers, and senders that may not send yet."""
        self._pen = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._saying = trio.StrictFIFOLock()  # the order of what users say
        self._writing = trio.StrictFIFOLock()  # over sealing and writing: records leave in the order of their sealing
        self._wait = trio.CancelScope()
        self._crash: CallError | None = None
        self._closed = trio.Event()

    @property
    def failure(self) -> CallError | None:
        """Why the call ended otherwise than well."""
        return self._crash or self.machine.failure

    @property
    def has_ended(self) -> bool:
        """Whether the call is over for its user."""
        return self.machine.ended is not None or self._crash is not None

    def now(self) -> float:
        """Give the time of the call's clock."""
        return self._clock.now()

    async def run(self) -> None:
        """Serve the call until it is over and the stream closed.  Raises nothing but Cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_when_asked)
                await self._read_until_over()
                with trio.move_on_after(_LAST_WORDS_SECONDS):
                    await self._flush()
                nursery.cancel_scope.cancel()
        except* Exception as crash:  # noqa: BLE001  a system task that raises would take the program down
            ended = Ended(Code.INTERNAL, "a fault in the client itself", truncated=True, local=True)
            self._crash = InternalFault(ended, is_proven=True)
            self._crash.__cause__ = crash
            with suppress(Exception):
                self.machine.drop(self._clock.now())  # for its keys to be wiped
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)
            self._closed.set()
            self.news.unpark_all()

    def take(self) -> Item | None:
        """Take the oldest item; None if there is none now."""
        item = self.machine.take()
        self._room.unpark_all()
        return item

    async def say(self, seal: Callable[[float], bool]) -> None:
        """Have something sealed, as soon as it may be, and write it.  Raises CallError if the call is over, or ends."""
        await _acquire(self._saying)
        try:
            while not await self._say_once(seal):
                self._settle()
                if self.has_ended:
                    raise self._why_not()
                is_paced = self.machine.may_send(self._clock.now())
                with trio.move_on_after(_CONTROL_INTERVAL_SECONDS if is_paced else float("inf")):
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
        await _acquire(self._writing)
        try:
            await trio.lowlevel.checkpoint_if_cancelled()  # the last moment at which nothing has been sent
            if self.has_ended or not seal(self._clock.now()):
                return False
            if await self._write():
                return True
        finally:
            self._writing.release()
        await self._closed.wait()
        raise self._why_not()

    def _why_not(self) -> CallError:
        return self.failure or CallEnded("the call has ended, so nothing more can be sent", "make a new call")

    async def _read_until_over(self) -> None:
        machine = self.machine
        while not machine.is_over:
            data = None
            with trio.CancelScope(deadline=trio.current_time() + self._patience()) as self._wait:
                data = await self._read()
            now = self._clock.now()
            if data:
                machine.receive(bytes(data), now)
            elif data is not None:
                machine.receive_eof(now)
            machine.on_deadline(now)
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
            await self._flush()
            await self._pen.park()

    async def _flush(self) -> None:
        async with self._writing:
            await self._write()

    async def _write(self) -> bool:
        """Write all there is, with the lock held.  False: the connection is broken; why, the reader will hear."""
        machine = self.machine
        while data := machine.to_send():
            try:
                await self._stream.send_all(data)
            except trio.Cancelled:
                machine.write_failed(self._clock.now(), cancelled=True)
                self._settle()
                raise
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                machine.write_failed(self._clock.now())
                self._settle()
                return False
        return True

    def _settle(self) -> None:
        """After a call of the machine: wake whoever waits for what it may have changed."""
        if self.machine.has_output:
            self._pen.unpark_all()
        self.news.unpark_all()
        self._room.unpark_all()
        self._wait.deadline = trio.current_time() + self._patience()

    def _patience(self) -> float:
        due = self.machine.next_deadline()
        if due is None:
            return 0.0
        return min(max(due - self._clock.now(), _SHORTEST_WAIT_SECONDS), _LOOK_AGAIN_SECONDS)


async def _acquire(lock: trio.StrictFIFOLock) -> None:
    """Acquire a lock; without a turn of the scheduler if it is free, as each use of it here has one by itself."""
    if lock.locked():
        await lock.acquire()
    else:
        lock.acquire_nowait()
