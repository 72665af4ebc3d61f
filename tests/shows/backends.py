"""Backends that are no good, in the test's own process: one that never answers, one that does not read."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from loadtest.peers.servers.processes import free_port
from sottovoce.transport import PeerClosed, ServerWebSocket, TextMessage, UpgradeRequest

_HEADER_BYTES = 7
_SMALL_BUFFER_BYTES = 4_096


class DeafBackend:
    """Accepts connections and never reads from them."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["DeafBackend"]:
        async with _listening(self._hold) as self.url:
            yield self

    async def _hold(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            await trio.sleep_forever()


class StuckBackend:
    """Takes the upgrade and then does not read until `go_on` is set; after that it reads to the end.

    Its route has `raw.header = true`: each audio message says how many were dropped before it.
    """

    def __init__(self) -> None:
        self.url = ""
        self.go_on = trio.Event()
        self.frames: list[bytes] = []
        self.lost = 0
        self.stop: dict[str, Any] | None = None
        self.news = trio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["StuckBackend"]:
        async with _listening(self._serve) as self.url:
            yield self

    async def until_heard(self, frame: bytes) -> None:
        while not self.frames or self.frames[-1] != frame:
            await self.news.wait()

    async def until_stopped(self) -> None:
        while self.stop is None:
            await self.news.wait()

    async def _serve(self, stream: trio.SocketStream) -> None:
        websocket = ServerWebSocket(max_message_bytes=65_536)
        async with stream:
            while not any(
                isinstance(event, UpgradeRequest) for event in websocket.receive(await stream.receive_some())
            ):
                pass
            websocket.accept(None)
            await stream.send_all(websocket.to_send())
            await self.go_on.wait()
            while not websocket.is_over and (data := await stream.receive_some()):
                for event in websocket.receive(data):
                    self._take(event)
                await stream.send_all(websocket.to_send())

    def _take(self, event: object) -> None:
        match event:
            case bytes():
                self.lost += int.from_bytes(event[_HEADER_BYTES - 2 : _HEADER_BYTES])
                self.frames.append(event[_HEADER_BYTES:])
            case TextMessage(text) if (said := json.loads(text))["type"] == "stop":
                self.stop = said
            case PeerClosed() | _:
                pass
        self.news.set()
        self.news = trio.Event()


def nobody() -> str:
    """A URL at which nothing listens."""
    return f"ws://127.0.0.1:{free_port()}/"


@asynccontextmanager
async def _listening(serve: Any) -> AsyncGenerator[str]:
    bound = trio.socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
    await bound.bind(("127.0.0.1", 0))
    bound.listen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [trio.SocketListener(bound)])
        yield f"ws://127.0.0.1:{bound.getsockname()[1]}/"
        nursery.cancel_scope.cancel()
