"""A WebSocket of somebody else at the other end, in both roles: trio-websocket, which stands on wsproto."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio_websocket

from sottovoce.transport import (
    ClientWebSocket,
    PeerClosed,
    ServerWebSocket,
    TextMessage,
    UpgradeAccepted,
    UpgradeRequest,
    WsEvent,
    WsFailed,
)

Ours = ServerWebSocket | ClientWebSocket
MESSAGE_BYTES = 70_000
PIECE_BYTES = 1_000
SUBPROTOCOL = "sottovoce.v1"
MESSAGES = ["", "hé", b"", b"audio", bytes(125), bytes(126), bytes(65_535), bytes(65_536), "x" * MESSAGE_BYTES]


def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    first, second = trio.socket.socketpair()
    return trio.SocketStream(first), trio.SocketStream(second)


async def run_server(stream: trio.abc.Stream, heard: list[WsEvent]) -> None:
    """Be an echo that closes when asked to in words."""
    server = ServerWebSocket(max_message_bytes=MESSAGE_BYTES)
    async with stream:
        while not server.is_over:
            data = await stream.receive_some(PIECE_BYTES)
            for event in server.receive(bytes(data)) if data else server.receive_eof():
                heard.append(event)
                match event:
                    case UpgradeRequest(target=b"/missing"):
                        server.refuse(404, "no such route")
                    case UpgradeRequest():
                        server.accept(SUBPROTOCOL if SUBPROTOCOL in event.subprotocols else None)
                    case TextMessage("please close"):
                        server.close(4408, "expired")
                    case TextMessage(text):
                        server.send_text(text)
                    case bytes():
                        server.send_binary(event)
                    case _:
                        pass
            await stream.send_all(server.to_send())


@asynccontextmanager
async def their_client(
    heard: list[WsEvent], path: str = "/v1/voice/echo"
) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    theirs, ours = socket_pair()
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(run_server, ours, heard)
        yield await trio_websocket.wrap_client_stream(nursery, theirs, "localhost", path, subprotocols=[SUBPROTOCOL])


async def test_their_client_gets_its_messages_back() -> None:
    heard: list[WsEvent] = []
    async with their_client(heard) as client:
        assert client.subprotocol == SUBPROTOCOL
        for message in MESSAGES:
            await client.send_message(message)
            assert await client.get_message() == message
        await client.ping(b"still there?")
        await client.aclose(1001, "bye")
    assert heard[-1] == PeerClosed(1001, "bye")


async def test_their_client_is_told_why_we_close() -> None:
    async with their_client([]) as client:
        await client.send_message("please close")
        with pytest.raises(trio_websocket.ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason is not None
        assert (caught.value.reason.code, caught.value.reason.reason) == (4408, "expired")


async def test_their_client_is_told_that_a_message_is_too_big() -> None:
    heard: list[WsEvent] = []
    async with their_client(heard) as client:
        await client.send_message(bytes(MESSAGE_BYTES + 1))
        with pytest.raises(trio_websocket.ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason is not None
        assert caught.value.reason.code == 1009
    assert isinstance(heard[-1], WsFailed)


async def test_their_client_is_refused() -> None:
    with pytest.RaisesGroup(trio_websocket.ConnectionRejected, flatten_subgroups=True) as caught:
        async with their_client([], "/missing"):
            pass
    [refused] = caught.value.exceptions
    assert isinstance(refused, trio_websocket.ConnectionRejected)
    assert (refused.status_code, refused.body) == (404, b"no such route\n")


async def their_server(stream: trio.SocketStream, subprotocol: str | None) -> None:
    async with stream, trio.open_nursery() as nursery:
        request = await trio_websocket.wrap_server_stream(nursery, stream)
        if request.path == "/missing":
            # The head is enough for our client, who may go before the body comes.
            with suppress(trio_websocket.ConnectionClosed):
                await request.reject(404, body=b"no such route")
            return
        socket = await request.accept(subprotocol=subprotocol)
        try:
            while True:
                message = await socket.get_message()
                if message == "please close":
                    await socket.aclose(4408, "expired")
                await socket.send_message(message)
        except trio_websocket.ConnectionClosed:
            pass


class OurClient:
    """Our machine on a stream, one event at a time."""

    def __init__(self, stream: trio.abc.Stream, path: str) -> None:
        self.stream = stream
        self.machine = ClientWebSocket("localhost", path, max_message_bytes=MESSAGE_BYTES, subprotocol=SUBPROTOCOL)
        self.machine.request()
        self._events: list[WsEvent] = []

    async def flush(self) -> None:
        await self.stream.send_all(self.machine.to_send())

    async def next(self) -> WsEvent:
        while not self._events:
            await self.flush()
            data = await self.stream.receive_some(PIECE_BYTES)
            self._events += self.machine.receive(bytes(data)) if data else self.machine.receive_eof()
        await self.flush()
        return self._events.pop(0)


@asynccontextmanager
async def our_client(path: str = "/v1/voice/echo", subprotocol: str | None = SUBPROTOCOL) -> AsyncIterator[OurClient]:
    ours, theirs = socket_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(their_server, theirs, subprotocol)
        async with ours:
            yield OurClient(ours, path)


async def test_our_client_gets_its_messages_back() -> None:
    async with our_client() as client:
        assert await client.next() == UpgradeAccepted(SUBPROTOCOL)
        for message in MESSAGES:
            if isinstance(message, str):
                client.machine.send_text(message)
            else:
                client.machine.send_binary(message)
            assert await client.next() == (TextMessage(message) if isinstance(message, str) else message)
        client.machine.send_ping(b"still there?")
        client.machine.close(1000, "bye")
        assert await client.next() == PeerClosed(1000, "bye")
        assert client.machine.is_over


async def test_our_client_is_told_why_they_close() -> None:
    async with our_client() as client:
        assert await client.next() == UpgradeAccepted(SUBPROTOCOL)
        client.machine.send_text("please close")
        assert await client.next() == PeerClosed(4408, "expired")
        assert client.machine.is_over


async def test_our_client_is_refused() -> None:
    async with our_client("/missing") as client:
        assert await client.next() == WsFailed("the server refused the WebSocket with HTTP status 404", 404)


async def test_our_client_wants_its_subprotocol() -> None:
    async with our_client(subprotocol=None) as client:
        assert await client.next() == WsFailed("the server did not select the WebSocket subprotocol that was asked for")
