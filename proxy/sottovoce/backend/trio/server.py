"""A server of calls and its connections."""

from contextlib import ExitStack, suppress
from functools import partial
from typing import Unpack

import trio

from sottovoce.backend.call import Handler, hold, log, log_peer
from sottovoce.backend.machine import LAST_WORDS_SECONDS, CallMachine
from sottovoce.backend.serving import FULL_BYTES, OVERFULL_BYTES, ServeOptions, Serving, cannot_listen
from sottovoce.transport import READ_BYTES


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    **options: Unpack[ServeOptions],
) -> None:
    """Serve calls until cancelled, each with a `handler(call)` of its own.  Raises CannotListen.

    `nursery.start` gives the URL.  When it ends, so do the calls, their handlers cancelled.
    """
    serving = Serving(host, port, options)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise cannot_listen(error, host, port) from None
    with ExitStack() as opened:
        for each in listeners:
            opened.callback(each.socket.close)
        task_status.started(serving.listens(host, listeners[0].socket.getsockname()[1]))
        await trio.serve_listeners(partial(_serve_one, handler, serving), listeners)


async def _serve_one(handler: Handler, serving: Serving, stream: trio.SocketStream) -> None:
    connection = _Connection(handler, stream)
    serving.begin(connection, stream)
    try:
        with suppress(OSError):  # it went as it came
            peer = stream.socket.getpeername()
            await connection.run()
            log_peer(connection.machine, peer)
    except Exception:  # noqa: BLE001  a fault of ours, in one connection, is no reason to drop the others
        log.exception("a fault in the backend library: one connection is lost, the others go on")
    finally:
        serving.left(connection)


class _Connection:
    """One connection: a `Link`."""

    machine: CallMachine
    _nursery: trio.Nursery

    def __init__(self, handler: Handler, stream: trio.SocketStream) -> None:
        self._handler = handler
        self._stream = stream
        self._output = bytearray()
        self._is_held = False
        self._news = trio.lowlevel.ParkingLot()
        self._pen = trio.lowlevel.ParkingLot()
        self._written = trio.Event()
        self._wait = trio.CancelScope()

    async def run(self) -> None:
        """Serve it until it is over, and the handler has returned."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._write)
            await self._read()
            with trio.move_on_after(LAST_WORDS_SECONDS):
                await self._written.wait()
            await trio.aclose_forcefully(self._stream)

    def now(self) -> float:
        """Give Trio's time."""
        return trio.current_time()

    def settle(self) -> None:
        """Have the writer write, start the handler, wake whoever waits, mind the deadline."""
        machine = self.machine
        self._output += machine.to_send()
        if machine.start is not None and not self._is_held:
            self._is_held = True
            self._nursery.start_soon(hold, self, machine.start, self._handler)
        if self._output or machine.is_over:
            self._pen.unpark_all()
        self._news.unpark_all()
        due = float("-inf") if machine.is_over else machine.next_deadline()
        self._wait.deadline = float("inf") if due is None else due

    async def turn(self) -> None:
        """Give others a turn."""
        await trio.lowlevel.checkpoint()

    async def news(self) -> None:
        """Wait until the machine may have changed."""
        await self._news.park()

    async def room(self) -> None:
        """Wait while much is to be written."""
        await self.turn()
        while len(self._output) > FULL_BYTES and not self._written.is_set():
            await self._news.park()

    async def pause(self, seconds: float) -> None:
        """Wait so long."""
        await trio.sleep(seconds)

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
            await self._news.park()
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
                self._news.unpark_all()
        self._written.set()
        self._news.unpark_all()
