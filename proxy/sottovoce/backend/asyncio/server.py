"""A server of calls and its connections."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Unpack, cast

from sottovoce.backend.call import Handler, hold, log_cancelled, log_peer
from sottovoce.backend.machine import LAST_WORDS_SECONDS, CallMachine
from sottovoce.backend.serving import OVERFULL_BYTES, ServeOptions, Serving, cannot_listen


async def serve(handler: Handler, host: str, port: int, **options: Unpack[ServeOptions]) -> None:
    """Serve calls until cancelled, each with a `handler(call)` of its own.  Raises CannotListen.

    When it ends, so do the calls: their handlers are cancelled and waited for.
    """
    serving = Serving(host, port, options)
    loop = asyncio.get_running_loop()
    connections: set[_Connection] = set()
    try:
        server = await loop.create_server(lambda: _Connection(handler, serving, connections), host, port)
    except OSError as error:
        raise cannot_listen(error, host, port) from None
    try:
        serving.listens(host, server.sockets[0].getsockname()[1])
        await loop.create_future()
    finally:
        server.close()
        await _end(connections)


async def _end(connections: "set[_Connection]") -> None:
    tasks: list[asyncio.Task[None]] = []
    for each in connections:
        if each.task is None:
            each.transport.abort()  # or it could begin a call meanwhile
        else:
            each.is_ending = True
            each.task.cancel()
            tasks.append(each.task)
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for each in connections:
            each.transport.abort()


class _Connection(asyncio.Protocol):
    """One connection: a `Link`."""

    transport: asyncio.Transport
    machine: CallMachine

    def __init__(self, handler: Handler, serving: Serving, connections: "set[_Connection]") -> None:
        self._handler = handler
        self._serving = serving
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._is_full = False
        self._is_lost = False
        self.is_ending = False
        """The handler is cancelled, as the server ends."""
        self.task: asyncio.Task[None] | None = None
        """The handler's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._serving.begin(self, transport.get_extra_info("socket"))
        self.settle()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.machine.receive(data, self.now())
        self.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be over, whoever closed it."""
        del exc
        self._is_lost = True
        self.machine.receive_eof(self.now())
        self.settle()
        self._set_timer(None, self.transport.abort)
        log_peer(self.machine, self.transport.get_extra_info("peername"))
        self._leave()

    def pause_writing(self) -> None:
        """Let senders wait."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._is_full = False
        self.settle()

    def now(self) -> float:
        """Give the loop's time."""
        return self._loop.time()

    def settle(self) -> None:
        """Write, start the handler, wake whoever waits, mind the deadline."""
        machine, transport = self.machine, self.transport
        if (data := machine.to_send()) and not transport.is_closing():
            transport.write(data)
        if machine.start is not None and self.task is None:
            self.task = self._loop.create_task(hold(self, machine.start, self._handler))
            self.task.add_done_callback(self._on_handled)
        self._wake()
        if transport.is_closing():
            return
        if machine.is_over:
            transport.close()
            self._set_timer(self.now() + LAST_WORDS_SECONDS, transport.abort)
            return
        self._set_timer(machine.next_deadline(), self._be_on_time)
        if machine.wants_more and transport.get_write_buffer_size() <= OVERFULL_BYTES:
            transport.resume_reading()
        else:
            transport.pause_reading()

    async def news(self) -> None:
        """Wait until the machine may have changed."""
        future = self._loop.create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            with suppress(ValueError):  # unless it was told
                self._waiting.remove(future)

    async def turn(self) -> None:
        """Give others a turn."""
        await asyncio.sleep(0)

    async def room(self) -> None:
        """Wait until bytes can be written."""
        await self.turn()
        while self._is_full and not self._is_lost:
            await self.news()

    async def pause(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(seconds)

    def _be_on_time(self) -> None:
        self.machine.on_deadline(self.now())
        self.settle()

    def _set_timer(self, due: float | None, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, act)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _on_handled(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() and not self.is_ending and self.machine.start is not None:
            log_cancelled(self.machine.start)
        self._leave()

    def _leave(self) -> None:
        """Count as gone once both the connection and the handler are over."""
        if self._is_lost and (self.task is None or self.task.done()):
            self._connections.discard(self)
            self._serving.left(self)
