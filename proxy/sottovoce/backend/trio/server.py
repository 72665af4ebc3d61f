"""A server of calls and its connections."""

from contextlib import ExitStack, suppress
from functools import partial
from typing import Unpack

import trio

from sottovoce.backend.call import Connection, Handler, hold, log, log_peer
from sottovoce.backend.machine import LAST_WORDS_SECONDS, CallMachine, MuxCall
from sottovoce.backend.serving import FULL_BYTES, OVERFULL_BYTES, ServeOptions, Serving, cannot_listen, listening_at
from sottovoce.transport import READ_BYTES


async def serve(
    handler: Handler,
    host: str,
    port: int = 0,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    **options: Unpack[ServeOptions],
) -> None:
    """Serve calls until cancelled, each with a `handler(call)` of its own.  Raises CannotListen.

    `nursery.start` gives the URL.  When it ends, so do the calls, their handlers cancelled.
    """
    serving = Serving(host, port, options)
    with ExitStack() as opened:
        if serving.path:
            listener = opened.enter_context(listening_at(serving.path))
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
        else:
            try:
                listeners = await trio.open_tcp_listeners(port, host=host)
            except OSError as error:
                raise cannot_listen(error, host, port) from None
        for each in listeners:
            opened.callback(each.socket.close)
        port = port if serving.path else listeners[0].socket.getsockname()[1]
        task_status.started(serving.listens(host, port))
        await trio.serve_listeners(partial(_serve_one, handler, serving), listeners)


async def _serve_one(handler: Handler, serving: Serving, stream: trio.SocketStream) -> None:
    connection = _Connection(handler, stream)
    serving.begin(connection, stream)
    try:
        with suppress(OSError):  # it went as it came
            await connection.run(stream.socket.getpeername())
    except Exception:  # noqa: BLE001  a fault of ours, in one connection, is no reason to drop the others
        log.exception("a fault in the backend library: one connection is lost, the others go on")
    finally:
        serving.left(connection)


class _Connection:
    """One connection, and the handlers of its calls."""

    machine: Connection
    _nursery: trio.Nursery

    def __init__(self, handler: Handler, stream: trio.SocketStream) -> None:
        self._handler = handler
        self._stream = stream
        self._output = bytearray()
        self._links: dict[CallMachine | MuxCall, _Link] = {}
        self._room = trio.lowlevel.ParkingLot()
        self._pen = trio.lowlevel.ParkingLot()
        self._written = trio.Event()
        self._wait = trio.CancelScope()

    async def run(self, peer: object) -> None:
        """Serve it until it is over, and the handlers have returned; `peer` is its address."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._write)
            await self._read()
            log_peer(self.machine, peer)
            with trio.move_on_after(LAST_WORDS_SECONDS):
                await self._written.wait()
            await trio.aclose_forcefully(self._stream)

    def now(self) -> float:
        """Give Trio's time."""
        return trio.current_time()

    def settle(self) -> None:
        """Have the writer write, start handlers, wake whoever waits, mind the deadline."""
        machine = self.machine
        self._output += machine.to_send()
        for call in machine.take_begun():
            self._links[call] = link = _Link(self, call)
            self._nursery.start_soon(self._hold, link)
        if self._output or machine.is_over:
            self._pen.unpark_all()
        for call in machine.take_changed():
            if (changed := self._links.get(call)) is not None:
                changed.wake()
        self._room.unpark_all()
        due = float("-inf") if machine.is_over else machine.next_deadline()
        self._wait.deadline = float("inf") if due is None else due

    async def room(self) -> None:
        """Wait while much is to be written."""
        await trio.lowlevel.checkpoint()
        while len(self._output) > FULL_BYTES and not self._written.is_set():
            await self._room.park()

    async def _hold(self, link: "_Link") -> None:
        call = link.machine
        assert call.start is not None  # noqa: S101  it has begun
        try:
            await hold(link, call.start, self._handler)
        finally:
            del self._links[call]

    async def _read(self) -> None:
        machine = self.machine
        while not machine.is_over:
            data = None
            with trio.CancelScope() as self._wait:
                self.settle()
                data = await self._receive()
            if data:
                machine.receive(bytes(data), self.now())
            elif data is not None:
                machine.receive_eof(self.now())
            machine.on_deadline(self.now())
        self.settle()

    async def _receive(self) -> bytes | bytearray | None:
        """Wait for bytes; None: there was no room for any, and there may be now.  Empty: there will be no more."""
        if not self.machine.wants_more or len(self._output) > OVERFULL_BYTES:
            await self._room.park()
            return None
        try:
            return await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def _write(self) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while self._output or not self.machine.is_over:
                if not self._output:
                    await self._pen.park()
                    continue
                data, self._output = self._output, bytearray()
                await self._stream.send_all(data)
                self._room.unpark_all()
        self._written.set()
        self._room.unpark_all()


class _Link:
    """One call on a connection: a `Link`."""

    def __init__(self, connection: _Connection, call: CallMachine | MuxCall) -> None:
        self.machine = call
        self._connection = connection
        self._news = trio.lowlevel.ParkingLot()

    def wake(self) -> None:
        """Wake whoever waits for news."""
        self._news.unpark_all()

    def now(self) -> float:
        """Give Trio's time."""
        return trio.current_time()

    def settle(self) -> None:
        """Have written what was said; the call may have changed."""
        self._connection.settle()
        self.wake()

    async def turn(self) -> None:
        """Give others a turn."""
        await trio.lowlevel.checkpoint()

    async def news(self) -> None:
        """Wait until the machine may have changed."""
        await self._news.park()

    async def room(self) -> None:
        """Wait while much is to be written."""
        await self._connection.room()

    async def credit(self) -> None:
        """Wait while much is to be written, and until the call may send."""
        await self.room()
        while not self.machine.may_send:
            await self.news()

    async def pause(self, seconds: float) -> None:
        """Wait so long."""
        await trio.sleep(seconds)
