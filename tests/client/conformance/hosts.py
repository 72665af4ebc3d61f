"""Servers for the conformance suite: `PureServer`s on a loopback port, in a thread of their own under Trio.

So whoever calls may be on any event loop, or on none; what a test does to a server, it does through `do`, from outside.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import trio

from sottovoce.session import Established
from tests.client.servers import PureServer
from tests.client.trio.servers import TrioServer

Way = Callable[[], PureServer] | None
"""What answers one connection; None: nobody, it is reset."""
WAIT_SECONDS = 20.0


class Echo(PureServer):
    """It says nothing to who has gone meanwhile."""

    def __init__(self, **options: Any) -> None:
        super().__init__(echo=True, **options)

    def say(self, frame: bytes, **how: Any) -> None:
        if self.websocket.is_open:
            super().say(frame, **how)


class _FromZero(trio.abc.Clock):
    """Trio's own begins anywhere; the servers count their dates from it."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return time.monotonic() - self._start

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.current_time()


class _Server(TrioServer):
    """One that several tasks may have write."""

    def __init__(self, stream: trio.abc.Stream, pure: PureServer) -> None:
        super().__init__(stream, pure)
        self._pen = trio.Lock()

    async def write(self) -> None:
        async with self._pen:
            await super().write()


class Host:
    """Answers each connection by the next of `ways`, and when they are used up by the last one again."""

    def __init__(self) -> None:
        self.ways: list[Way] = [Echo]
        self.servers: list[TrioServer] = []
        self.connections = 0
        self.is_ready = threading.Event()

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.port}/echo"

    @property
    def last(self) -> TrioServer:
        return self.servers[-1]

    async def run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._scope = trio.CancelScope()
        with self._scope:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port: int = listeners[0].socket.getsockname()[1]
            listeners[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that it can be full
            self.is_ready.set()
            await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, stream: trio.SocketStream) -> None:
        way = self.ways[0] if len(self.ways) == 1 else self.ways.pop(0)
        self.connections += 1
        if way is None:
            reset(stream)
            await trio.aclose_forcefully(stream)
            return
        self.servers.append(_Server(stream, way()))
        await self.servers[-1].run()

    def stop(self) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._scope.cancel)

    def do(self, what: Callable[[TrioServer], object]) -> Any:
        """Have something done to the last server in its call, and what it says then written.  Blocks."""

        async def in_its_thread() -> object:
            with trio.fail_after(WAIT_SECONDS):
                while not any(isinstance(event, Established) for event in self.last.pure.events):  # noqa: ASYNC110  in a test
                    await trio.sleep(0.005)  # the client is open before the server has heard of it
                result = what(self.last)
                await self.last.write()
            return result

        return trio.from_thread.run(in_its_thread, trio_token=self._token)

    def until_done(self) -> None:
        """Wait until every server that reads has seen the end of its connection.  Blocks."""

        async def in_its_thread() -> None:
            with trio.fail_after(WAIT_SECONDS):
                for server in self.servers:
                    if server.reads:
                        await server.is_done.wait()

        trio.from_thread.run(in_its_thread, trio_token=self._token)

    def go_deaf(self) -> None:
        """Have the last server pass over what it reads, until `hear_again`.  Blocks."""
        self.do(lambda server: setattr(server, "hears", False))

    def hear_again(self) -> None:
        """Have it take up what it has passed over.  Blocks."""

        def hear(server: TrioServer) -> None:
            server.hears = True
            server.pure.receive(server.unheard, trio.current_time())
            server.pure.at(trio.current_time())

        self.do(hear)

    def break_off(self) -> None:
        """Reset the last connection.  Blocks."""

        async def in_its_thread() -> None:
            reset(self.last.stream)
            await trio.aclose_forcefully(self.last.stream)

        trio.from_thread.run(in_its_thread, trio_token=self._token)


def reset(stream: trio.abc.Stream) -> None:
    """Have it closed by RST."""
    assert isinstance(stream, trio.SocketStream)
    with suppress(OSError):  # it is closed
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def a_host() -> Generator[Host]:
    host = Host()
    thread = threading.Thread(target=partial(trio.run, host.run, clock=_FromZero()), name="host")
    thread.start()
    assert host.is_ready.wait(WAIT_SECONDS)
    try:
        yield host
    finally:
        host.stop()
        thread.join()
