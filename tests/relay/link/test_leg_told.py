"""A leg whose sink does what the edge does: told of an end, it says `stop` from within that call."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from sottovoce.relay import Leg
from sottovoce.relay.link import BackendRoute
from sottovoce.relay.raw import RawDialect
from sottovoce.transport import PeerClosed, TextMessage
from tests.relay.backend import Backend, Calling, Network, dialer
from tests.relay.calls import END, START, RecordingSink
from tests.transport.lines.ends import transports

STOP = '{"type": "stop"}'
NO_WEBSOCKET = b"\x83\x00"
"""A frame of a kind that RFC 6455 does not know."""


class Answering(RecordingSink):
    """Stops the leg as soon as it hears of an end."""

    leg: Leg | None = None

    def hung_up(self, reason: str) -> None:
        super().hung_up(reason)
        self._stop()

    def backend_closed(self, reason: str) -> None:
        super().backend_closed(reason)
        self._stop()

    def _stop(self) -> None:
        if self.leg is not None:
            self.leg.stop(END)


async def call(behave: Callable[[Backend], Awaitable[object]]) -> tuple[list[object], list[str]]:
    """Give what the backend heard behind `start`, and what the sink was told in the words before the colon."""
    calling, sink = Calling(), Answering()
    heard: list[object] = []

    async def serve() -> None:
        backend = await calling.accepted()
        await behave(backend)
        heard.extend(await backend.until_end())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect(sink=sink) as leg:
            sink.leg = leg
            leg.audio(b"waits", 0)
            await trio.sleep(5)
    assert calling.network.open_streams == 0
    return heard[1:], [f"{what}: {str(detail).partition(':')[0]}" for what, detail, *_ in sink.told]


def sends(data: bytes) -> Callable[[Backend], Awaitable[object]]:
    async def send(backend: Backend) -> None:
        await backend.stream.send_all(data)

    return send


@pytest.mark.parametrize("before", [b"", b"\x82\x03abc"])
async def test_bytes_that_are_not_websocket(autojump_clock: MockClock, before: bytes) -> None:
    heard, told = await call(sends(before + NO_WEBSOCKET))
    assert told[-1:] == ["backend_closed: bad_framing"]
    assert [type(each) for each in heard] == [PeerClosed]


async def test_bytes_that_are_not_websocket_directly_behind_the_upgrade(autojump_clock: MockClock) -> None:
    calling, sink = Calling(), Answering()

    async def serve() -> None:
        backend = await calling.network.backend()
        await backend.asked()
        backend.websocket.accept(None)
        await backend.stream.send_all(backend.websocket.to_send() + NO_WEBSOCKET)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect(sink=sink) as leg:
            sink.leg = leg
            leg.audio(b"waits", 0)
            leg.flush()  # as a client does that has something to say at once
            await trio.sleep(5)
    assert [what for what, _ in sink.told] == ["backend_closed"]


async def test_a_close_directly_behind_the_upgrade_is_told_on_a_socket_that_takes_all_at_once(
    autojump_clock: MockClock,
) -> None:
    autojump_clock.autojump_threshold = 0.02
    network, sink = Network(), Answering()
    theirs, ours = await transports("socket")
    backend = Backend(theirs)

    async def open_stream() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    async def serve() -> None:
        await backend.asked()
        backend.websocket.accept(None)
        await backend.close(1001)

    network.open_stream = open_stream  # type: ignore[method-assign]
    route = BackendRoute("support", dialer(network), lambda start: RawDialect(start, header=False), queue_frames=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with route.connect(START, sink) as leg:
            sink.leg = leg
            leg.audio(b"waits", 0)
            leg.flush()
            await trio.sleep(5)
    assert [what for what, _ in sink.told] == ["backend_closed"]
    await trio.aclose_forcefully(theirs)


async def test_a_message_at_fault_is_closed_with_1008_and_nothing_before_it(autojump_clock: MockClock) -> None:
    async def misbehave(backend: Backend) -> None:
        await backend.send('{"type": "makr"}', STOP)

    assert await call(misbehave) == ([PeerClosed(1008, "")], ["backend_closed: bad_text"])


async def test_a_close_without_stop(autojump_clock: MockClock) -> None:
    heard, told = await call(lambda backend: backend.close(1001))
    assert (heard, told) == ([PeerClosed(1001, "")], ["backend_closed: closed"])


async def test_a_stop_and_a_close_in_one_piece(autojump_clock: MockClock) -> None:
    async def leave(backend: Backend) -> None:
        backend.put(STOP)
        backend.websocket.close(1000)
        await backend.flush()

    heard, told = await call(leave)
    assert told == ["hung_up: "]
    assert heard == [PeerClosed(1000, "")]  # it takes no `stop` any more


async def test_a_stop_alone_is_answered_by_stop(autojump_clock: MockClock) -> None:
    heard, told = await call(lambda backend: backend.send(STOP))
    assert told == ["hung_up: "]
    assert [type(each) for each in heard] == [TextMessage, PeerClosed]
