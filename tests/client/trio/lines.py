"""Where `calls` calls to in tests: each connection leads to the server that a test has put up next."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio

from sottovoce.client import Audio, Call, Calls
from sottovoce.client.address import Address
from sottovoce.client.errors import dial_failure
from sottovoce.client.trio import calls
from sottovoce.wire import Code
from tests.client.servers import FRAME, URL, PureServer, anchors
from tests.client.trio.servers import TrioServer, VirtualClock
from tests.session.dialogue import Credentials
from tests.transport.certificates import authority

Pair = Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]


class Line:
    """Dials: each of `ways` is a server, or None for nobody there; when they are used up, the last one again."""

    def __init__(self, nursery: trio.Nursery, ways: Iterable[Callable[[], PureServer] | None], pair: Pair) -> None:
        self._nursery = nursery
        self._ways = list(ways)
        self._pair = pair
        self.servers: list[TrioServer] = []
        self.dialled: list[float] = []
        self.streams: list[trio.abc.Stream] = []

    async def dial(self, address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dialled.append(trio.current_time())
        way = self._ways[0] if len(self._ways) == 1 else self._ways.pop(0)
        if way is None:
            raise dial_failure(OSError(111, "Connection refused"), str(address))
        ours, theirs = self._pair()
        self.servers.append(TrioServer(theirs, way()))
        self.streams.append(ours)
        self._nursery.start_soon(self.servers[-1].run)
        return ours

    def calls(self, **options: Any) -> Calls:
        """`calls` along this line, with options that suit its servers."""
        usual: dict[str, Any] = {"anchor": anchors(), "ca": authority().pem}
        return calls(URL, dial=self.dial, clock=VirtualClock(), **{**usual, **options})

    @property
    def gaps(self) -> list[float]:
        """The seconds between one attempt and the next."""
        return [later - earlier for earlier, later in zip(self.dialled, self.dialled[1:], strict=False)]


@asynccontextmanager
async def a_line(
    *ways: Callable[[], PureServer] | None, pair: Pair = trio.testing.memory_stream_pair
) -> AsyncIterator[Line]:
    async with trio.open_nursery() as nursery:
        yield Line(nursery, ways, pair)
        nursery.cancel_scope.cancel()


# What tests put up, do to it, and say.


def echo() -> PureServer:
    return PureServer(echo=True)


def refusing(code: Code = Code.AUTH_FAILED) -> Callable[[], PureServer]:
    return lambda: PureServer(credentials=Credentials(code))


def closed() -> PureServer:
    return PureServer(answer=lambda websocket: websocket.refuse(503, "draining"))


async def drain(line: Line, code: Code = Code.DRAINING) -> None:
    line.servers[-1].pure.end(code)
    await line.servers[-1].write()


async def break_off(line: Line) -> None:
    await trio.aclose_forcefully(line.servers[-1].stream)


async def read(call: Call) -> None:
    async for _ in call:
        pass


async def say_one(call: Call) -> None:
    await call.send(FRAME)
    assert await call.__anext__() == Audio(FRAME)
