"""A server of calls and its connections."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Unpack, cast

from sottovoce.backend.call import Connection, Handler, hold, log_cancelled, log_peer
from sottovoce.backend.machine import LAST_WORDS_SECONDS, CallMachine, MuxCall
from sottovoce.backend.serving import OVERFULL_BYTES, ServeOptions, Serving, cannot_listen, listening_at


async def serve(handler: Handler, host: str, port: int = 0, **options: Unpack[ServeOptions]) -> None:
    """Serve calls until cancelled, each with a `handler(call)` of its own.  Raises CannotListen.

    When it ends, so do the calls: their handlers are cancelled and waited for.
    """
    serving = Serving(host, port, options)
    loop = asyncio.get_running_loop()
    connections: set[_Connection] = set()

    def accept() -> _Connection:
        return _Connection(handler, serving, connections)

    with ExitStack() as opened:
        if serving.path:
            server = await loop.create_unix_server(accept, sock=opened.enter_context(listening_at(serving.path)))
        else:
            try:
                server = await loop.create_server(accept, host, port)
            except OSError as error:
                raise cannot_listen(error, host, port) from None
            port = server.sockets[0].getsockname()[1]
        try:
            serving.listens(host, port)
            await loop.create_future()
        finally:
            server.close()
            await _end(connections)


async def _end(connections: "set[_Connection]") -> None:
    tasks: list[asyncio.Task[None]] = []
    for each in connections:
        each.is_ending = True
        if each.links:
            for link in each.links.values():
                link.task.cancel()
                tasks.append(link.task)
        else:
            each.transport.abort()  # or it could begin a call meanwhile
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for each in connections:
            each.transport.abort()


class _Connection(asyncio.Protocol):
    """One connection, and the handlers of its calls."""

    transport: asyncio.Transport
    machine: Connection

    def __init__(self, handler: Handler, serving: Serving, connections: "set[_Connection]") -> None:
        self._handler = handler
        self._serving = serving
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._roomless: set[_Link] = set()
        self.is_full = False
        self.is_lost = False
        self.is_ending = False
        """The handlers are cancelled, as the server ends."""
        self.links: dict[CallMachine | MuxCall, _Link] = {}
        """Those whose handlers have not returned."""

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
        self.is_lost = True
        self.machine.receive_eof(self.now())
        self.settle()
        self._set_timer(None, self.transport.abort)
        log_peer(self.machine, self.transport.get_extra_info("peername"))
        self._leave()

    def pause_writing(self) -> None:
        """Let senders wait."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self.is_full = False
        self.settle()

    def now(self) -> float:
        """Give the loop's time."""
        return self._loop.time()

    def settle(self) -> None:
        """Write, start handlers, wake whoever waits, mind the deadline."""
        machine, transport = self.machine, self.transport
        if (data := machine.to_send()) and not transport.is_closing():
            transport.write(data)
        self._tell_calls()
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

    def wants_room(self, link: "_Link") -> None:
        """Have a link woken when there is room."""
        self._roomless.add(link)

    def _tell_calls(self) -> None:
        for call in self.machine.take_begun():
            if not self.is_ending:
                self._begin(call)
        for call in self.machine.take_changed():
            if (changed := self.links.get(call)) is not None:
                changed.wake()
        if not self.is_full or self.is_lost:
            roomless, self._roomless = self._roomless, set()
            for each in roomless:
                each.wake()

    def _begin(self, call: CallMachine | MuxCall) -> None:
        assert call.start is not None  # noqa: S101  it has begun
        start, link = call.start, _Link(self, call)
        self.links[call] = link
        link.task = self._loop.create_task(hold(link, start, self._handler))

        def on_handled(task: "asyncio.Task[None]") -> None:
            if task.cancelled() and not self.is_ending:
                log_cancelled(start)
            del self.links[call]
            self._leave()

        link.task.add_done_callback(on_handled)

    def _be_on_time(self) -> None:
        self.machine.on_deadline(self.now())
        self.settle()

    def _set_timer(self, due: float | None, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, act)

    def _leave(self) -> None:
        """Count as gone once both the connection and the handlers are over."""
        if self.is_lost and not self.links:
            self._connections.discard(self)
            self._serving.left(self)


class _Link:
    """One call on a connection: a `Link`."""

    task: "asyncio.Task[None]"
    """The handler's."""

    def __init__(self, connection: _Connection, call: CallMachine | MuxCall) -> None:
        self.machine = call
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Wake whoever waits for news."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def now(self) -> float:
        """Give the loop's time."""
        return self._loop.time()

    def settle(self) -> None:
        """Have written what was said; the call may have changed."""
        self._connection.settle()
        self.wake()

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
        while self._connection.is_full and not self._connection.is_lost:
            self._connection.wants_room(self)
            await self.news()

    async def credit(self) -> None:
        """Wait until bytes can be written and the call may send."""
        await self.room()
        while not self.machine.may_send:
            await self.news()

    async def pause(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(seconds)
