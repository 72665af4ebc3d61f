"""A backend that serves in a thread, on the event loop of a test's choice, for peers that block."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, Unpack

import trio
import uvloop
from websockets.sync.client import ClientConnection, connect

import sottovoce.backend.asyncio
import sottovoce.backend.trio
from sottovoce.backend import Handler, ServeOptions

WAIT_SECONDS = 20.0
"""For what comes at once, or never."""


class Server:
    """A backend that serves."""

    def __init__(self, loop: str) -> None:
        self.loop = loop
        self.url = ""
        self.told: SimpleQueue[Any] = SimpleQueue()
        """What handlers want a test to know."""
        self.stop: Callable[[], object] = lambda: None
        self.failure: BaseException | None = None
        self.up = threading.Event()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.url.rpartition(":")[2])

    def hear(self) -> Any:
        return self.told.get(timeout=WAIT_SECONDS)

    def connect(self, **options: Any) -> ClientConnection:
        """Be a proxy."""
        return connect(self.url, proxy=None, compression=None, **options)

    def knock(self, data: bytes) -> bytes:
        """Connect, send bytes, give what comes back until the end."""
        with socket.create_connection(self.address, WAIT_SECONDS) as peer:
            peer.sendall(data)
            return b"".join(iter(lambda: peer.recv(65_536), b""))

    async def pause(self, seconds: float) -> None:
        """Sleep, for handlers."""
        if self.loop == "trio":
            await trio.sleep(seconds)
        else:
            await asyncio.sleep(seconds)

    async def within(self, seconds: float, wait: Callable[[], Awaitable[object]]) -> object:
        """Wait for something, but not for long; None if it did not come."""
        if self.loop == "trio":
            with trio.move_on_after(seconds):
                return await wait()
            return None
        try:
            return await asyncio.wait_for(wait(), seconds)
        except TimeoutError:
            return None


@contextmanager
def serving(
    server: Server, handler: Handler, *, host: str = "127.0.0.1", **options: Unpack[ServeOptions]
) -> Generator[Server]:
    """Serve until the block ends; what `serve` raises but for that, the block raises."""

    def ready(url: str) -> None:
        server.url = url
        server.up.set()

    options["ready"] = ready
    run = partial(_run_trio if server.loop == "trio" else _run_asyncio, server, handler, host, **options)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    server.up.wait(WAIT_SECONDS)
    try:
        if server.failure is None:
            yield server
    finally:
        server.stop()
        thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    if server.failure is not None:
        raise server.failure


def _run_trio(server: Server, handler: Handler, host: str, **options: Unpack[ServeOptions]) -> None:
    async def main() -> None:
        token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as scope:
            server.stop = lambda: token.run_sync_soon(scope.cancel)
            await sottovoce.backend.trio.serve(handler, host, 0, **options)

    _guarded(server, partial(trio.run, main))


def _run_asyncio(server: Server, handler: Handler, host: str, **options: Unpack[ServeOptions]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(sottovoce.backend.asyncio.serve(handler, host, 0, **options))
        server.stop = lambda: loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    factory = uvloop.new_event_loop if server.loop == "uvloop" else None
    with asyncio.Runner(debug=server.loop == "asyncio", loop_factory=factory) as runner:
        _guarded(server, lambda: runner.run(main()))


def _guarded(server: Server, run: Callable[[], object]) -> None:
    try:
        run()
    except BaseException as error:  # noqa: BLE001  the test's own thread raises it
        server.failure = error
    server.stop = lambda: None
    server.up.set()
