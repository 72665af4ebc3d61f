"""The client's connection as a call sees it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock, lockstep_stream_pair

from sottovoce.edge.call import MAX_REPLY_BYTES, Carrier
from sottovoce.transport import (
    ClientWebSocket,
    PeerClosed,
    ServerWebSocket,
    TlsStream,
    UpgradeAccepted,
    WsEvent,
    WsFailed,
)
from tests.edge.proxy import TrioClock
from tests.transport.lines.ends import settle
from tests.transport.streams import shaken

PATIENCE_SECONDS = 10.0


class Call:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[WsEvent] = []
        self.told: list[str] = []
        self.error: Exception | None = None
        self.fails = False

    def heard(self, message: bytes) -> None:
        self.arrived([message])

    def arrived(self, events: list[WsEvent]) -> None:
        self.events += events
        if self.fails:
            raise ZeroDivisionError

    def drained(self) -> None:
        self.told.append("drained")

    def connection_lost(self) -> None:
        self.told.append("lost")

    def crashed(self, error: Exception) -> None:
        self.error = error


class Scene:
    """A carrier with its call, and the client's end."""

    def __init__(self, peer: TlsStream, websocket: ClientWebSocket, carrier: Carrier, call: Call) -> None:
        self.peer, self.websocket, self.carrier, self.call = peer, websocket, carrier, call

    async def send(self) -> None:
        await self.peer.send_all(self.websocket.to_send())

    async def read(self, seconds: float = 1) -> list[WsEvent]:
        """Read what comes in some seconds."""
        events: list[WsEvent] = []
        with trio.move_on_after(seconds):
            while data := await self.peer.receive_some():
                events += self.websocket.receive(data)
        return events


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    """A WebSocket just accepted, over streams on which a writer waits until he is read."""
    ours, theirs = lockstep_stream_pair()
    peer, stream = await shaken((theirs, ours))
    client = ClientWebSocket("localhost:8443", "/", max_message_bytes=70_000)
    server = ServerWebSocket(max_message_bytes=70_000)
    client.request()
    server.receive(client.to_send())
    server.accept(None)
    call = Call()
    carrier = Carrier(stream, server, TrioClock(), PATIENCE_SECONDS, call)
    carrier.resume()
    carrier.write([], None)
    there = Scene(peer, client, carrier, call)
    (accepted,) = await there.read()
    assert isinstance(accepted, UpgradeAccepted)
    assert call.told == ["drained"]
    call.told.clear()
    yield there
    await carrier.release()
    await trio.aclose_forcefully(stream)
    await trio.aclose_forcefully(peer)


async def test_messages_come_and_go(autojump_clock: MockClock) -> None:
    async with scene() as there:
        there.websocket.send_binary(b"hello")
        await there.send()
        await settle()
        assert there.call.events == [b"hello"]
        there.carrier.write([b"one", b"two"], 1000)
        *messages, closed = await there.read()
        assert messages == [b"one", b"two"]
        assert closed == PeerClosed(1000, "")
        await there.send()  # the client's half of the closing handshake
        await settle()
        assert there.carrier.is_over
        there.carrier.write([b"late"], 1000)  # nobody takes it
        assert not there.carrier.is_clogged


async def test_the_answer_to_a_ping_goes_with_the_next_write(autojump_clock: MockClock) -> None:
    async with scene() as there:
        there.websocket.send_ping(b"are you there?")
        await there.send()
        await settle()
        assert there.carrier.owed
        there.carrier.write([b"yes"], None)
        assert not there.carrier.owed
        assert await there.read() == [b"yes"]


async def test_pings_whose_answers_nobody_takes(autojump_clock: MockClock) -> None:
    async with scene() as there:
        for _ in range(MAX_REPLY_BYTES // 100 + 1):
            there.websocket.send_ping(bytes(100))
            await there.send()
        await settle()
        assert there.call.told[0] == "lost"
        assert len(there.carrier.owed) < 2 * MAX_REPLY_BYTES


async def test_patience_is_counted_from_the_last_that_was_taken(autojump_clock: MockClock) -> None:
    async with scene() as there:
        carrier = there.carrier
        assert not carrier.is_stalled(trio.current_time() + 1_000)  # nothing waits
        carrier.write([bytes(60_000)] * 3, None)
        began = trio.current_time()
        assert carrier.is_clogged
        assert carrier.stalls_at == began + PATIENCE_SECONDS
        assert not carrier.is_stalled(began + PATIENCE_SECONDS - 1)
        taken = 0
        while taken < 70_000:
            taken += len(await there.peer.receive_some())
        await settle()
        await trio.sleep(PATIENCE_SECONDS)
        now = trio.current_time()
        assert not carrier.is_stalled(now)  # it has taken something
        assert carrier.stalls_at == now + PATIENCE_SECONDS
        await trio.sleep(PATIENCE_SECONDS)
        assert carrier.is_stalled(trio.current_time())
        await there.read()
        assert there.call.told == ["drained"]
        assert not carrier.is_stalled(trio.current_time() + 1_000)


async def test_nothing_comes_while_it_is_held(autojump_clock: MockClock) -> None:
    async with scene() as there, trio.open_nursery() as nursery:
        there.carrier.hold()
        there.websocket.send_binary(b"hello")
        nursery.start_soon(there.send)
        await trio.sleep(5)
        assert there.call.events == []
        there.carrier.resume()
        await settle()
        assert there.call.events == [b"hello"]


async def test_an_end_without_a_close(autojump_clock: MockClock) -> None:
    async with scene() as there:
        there.websocket.send_binary(b"and")
        await there.send()
        await there.peer.aclose()
        await settle()
        message, failed = there.call.events
        assert message == b"and"
        assert isinstance(failed, WsFailed)
        assert there.call.told == ["lost"]


async def test_a_call_that_raises(autojump_clock: MockClock) -> None:
    async with scene() as there:
        there.call.fails = True
        there.websocket.send_binary(b"boom")
        await there.send()
        await settle()
        assert isinstance(there.call.error, ZeroDivisionError)
