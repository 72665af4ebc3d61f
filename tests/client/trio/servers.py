"""The server of `servers`, on Trio streams: so that the client's shell has somebody to talk to."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio
import trio.testing

from sottovoce.client import Call
from sottovoce.client.trio import connect
from tests.client.servers import URL, PureServer, anchors
from tests.session.keys import WALL
from tests.transport.certificates import authority


class VirtualClock:
    """The call's clock under Trio's test clock."""

    def __init__(self) -> None:
        self._start = trio.current_time()

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return WALL + trio.current_time() - self._start


class TrioServer:
    """Drives one `PureServer` over a stream until that is over; `write` sends what a test made it say."""

    def __init__(self, stream: trio.abc.Stream, pure: PureServer) -> None:
        self.stream = stream
        self.pure = pure
        self.is_done = trio.Event()
        self.hears = True
        self.reads = True
        self.drops_after: int | None = None
        self.unheard = b""

    async def run(self) -> None:
        try:
            await self._run()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(self.stream)
            self.is_done.set()

    async def _run(self) -> None:
        pure = self.pure
        while True:
            session = pure.session
            due = session.next_deadline() if session is not None else None
            patience = float("inf") if due is None or not self.hears else max(0.01, due - trio.current_time())
            if not self.reads:
                await trio.sleep_forever()
            data = None
            with trio.move_on_after(patience):
                data = await self.stream.receive_some()
            if self.drops_after is not None:
                self.drops_after -= data is not None
                if self.drops_after < 0:
                    return
            if data == b"":
                if pure.session is not None:
                    pure.settle(pure.session.carriage_ended())
                return
            if not self.hears:
                self.unheard += bytes(data or b"")
                continue
            if data is not None:
                pure.receive(bytes(data), trio.current_time())
            pure.at(trio.current_time())
            await self.write()
            if pure.websocket.is_over:
                pure.close_tls()
                await self.write()
                return

    async def write(self) -> None:
        """Write what the server has to say."""
        if data := self.pure.to_send():
            await self.stream.send_all(data)


@asynccontextmanager
async def serving(
    pure: PureServer | None = None, *, pair: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]] | None = None
) -> AsyncIterator[tuple[trio.abc.Stream, TrioServer]]:
    """Run a server; gives the client's end of its connection."""
    ours, theirs = (pair or trio.testing.memory_stream_pair)()
    server = TrioServer(theirs, pure or PureServer(echo=True))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        yield ours, server
        nursery.cancel_scope.cancel()


def calling(stream: trio.abc.Stream, **options: Any) -> AbstractAsyncContextManager[Call]:
    """`connect` to such a server, with options that suit it."""
    url = options.pop("url", URL)
    usual: dict[str, Any] = {"anchor": anchors(), "ca": authority().pem, "stream": stream, "clock": VirtualClock()}
    return connect(url, **{**usual, **options})


@asynccontextmanager
async def a_call(pure: PureServer | None = None, **options: Any) -> AsyncIterator[tuple[Call, TrioServer]]:
    """A call that is open, and the server it goes to."""
    async with serving(pure) as (stream, server), calling(stream, **options) as call:
        await trio.testing.wait_all_tasks_blocked()  # the server, too, has finished the handshake
        yield call, server


@asynccontextmanager
async def a_call_without_nursery(pure: PureServer | None = None) -> AsyncIterator[tuple[Call, TrioServer]]:
    """The same, its server in a system task: for tests that enter and leave in different tasks."""
    ours, theirs = trio.testing.memory_stream_pair()
    server = TrioServer(theirs, pure or PureServer(echo=True))
    trio.lowlevel.spawn_system_task(server.run)
    async with calling(ours) as call:
        yield call, server
    await server.is_done.wait()
