"""Peers that send rubbish at every stage of a connection: the call beside them goes on, and no bug comes to light."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from sottovoce.client import Call, CallError
from sottovoce.transport import (
    ClientWebSocket,
    PqPolicy,
    TlsStream,
    UpgradeAccepted,
    client_context,
)
from tests.running import ROOMY, RunningProxy, running_proxy
from tests.shows.calls import Echoed, calling, echo, next_frame

pytestmark = pytest.mark.interop(tool="softhsm2-util")
FRAMES = [bytes([number]) * 640 for number in range(1, 101)]
EACH = 12
"""How many peers for each kind of rubbish."""
REQUEST = b"GET /v1/voice/echo HTTP/1.1\r\nHost: localhost\r\n"
BAD_REQUESTS = (
    b"\r\n\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"POST /v1/voice/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    REQUEST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    REQUEST + b"Host: elsewhere\r\n\r\n",
    b"GET wss://localhost/v1/voice/echo HTTP/1.1\r\nHost: localhost\r\n\r\n",
    REQUEST + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
    REQUEST + b"\xff\xfe: \x00\r\n\r\n",
    REQUEST.replace(b"HTTP/1.1", b"HTTP/9.9") + b"\r\n",
)
BAD_RECORDS = (b"", b"\x00", b"\x05", b"\x00\x01\x00\x00\x00", b"\x01\xff\xff", b"\x80", b"\x98\x10\x00" + bytes(40))


class Peers:
    """Makes connections and says what it is told to say on them."""

    def __init__(self, proxy: RunningProxy, seed: int) -> None:
        self._proxy = proxy
        self._random = random.Random(seed)  # noqa: S311  rubbish
        ca = (proxy.directory / "certs/ca.pem").read_bytes()
        self._context = client_context("localhost", pq=PqPolicy.PREFER, ca_pem=ca)

    def rubbish(self, *lengths: int) -> bytes:
        return self._random.randbytes(self._random.choice(lengths or (1, 5, 80, 2_000, 40_000)))

    async def raw(self, data: bytes) -> None:
        """To the port itself."""
        async with await trio.open_tcp_stream("127.0.0.1", self._proxy.port) as stream:
            await _say(stream, data)

    async def tls(self, data: bytes) -> None:
        """Where HTTP belongs."""
        async with self._tls() as stream:
            await _say(stream, data)

    async def framing(self, data: bytes) -> None:
        """Where WebSocket frames belong."""
        async with self._upgraded() as (stream, _):
            await _say(stream, data)

    async def record(self, data: bytes) -> None:
        """Where the voice handshake belongs."""
        async with self._upgraded() as (stream, websocket):
            websocket.send_binary(data)
            await _say(stream, websocket.to_send())

    async def text(self) -> None:
        async with self._upgraded() as (stream, websocket):
            websocket.send_text("hello?")
            await _say(stream, websocket.to_send())

    async def in_a_call(self, data: bytes) -> None:
        """Behind a good handshake and good audio."""
        async with calling(self._proxy) as call:
            await call.send(FRAMES[0])
            assert await next_frame(call) == FRAMES[0]
            call._link.machine._channel.send(data)
            with pytest.raises(CallError) as caught:
                await _send_for_ever(call)
            assert caught.value.code in {4400, 4409, 4410, 4413, 4421}

    @asynccontextmanager
    async def _tls(self) -> AsyncGenerator[TlsStream]:
        stream = TlsStream(await trio.open_tcp_stream("127.0.0.1", self._proxy.port), self._context)
        try:
            await stream.do_handshake()
            yield stream
        finally:
            await trio.aclose_forcefully(stream)

    @asynccontextmanager
    async def _upgraded(self) -> AsyncGenerator[tuple[TlsStream, ClientWebSocket]]:
        authority = f"localhost:{self._proxy.port}"
        websocket = ClientWebSocket(authority, "/v1/voice/echo", max_message_bytes=65_536, subprotocol="sottovoce.v1")
        websocket.request()
        async with self._tls() as stream:
            await stream.send_all(websocket.to_send())
            assert [type(event) for event in websocket.receive(await stream.receive_some())] == [UpgradeAccepted]
            yield stream, websocket


async def _send_for_ever(call: Call) -> NoReturn:
    while True:
        await call.send(FRAMES[0])


async def _say(stream: trio.abc.Stream, data: bytes) -> None:
    """Send, and read until the proxy hangs up, which it must do by itself."""
    try:
        await stream.send_all(data)
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        return


async def test_rubbish_at_every_stage_disturbs_nobody(directory: Path) -> None:
    with running_proxy(directory, "listener.handshake_seconds=5", ROOMY) as proxy:
        peers = Peers(proxy, seed=1)
        async with trio.open_nursery() as nursery:
            good: list[Echoed] = []

            async def call() -> None:
                async with calling(proxy) as one:
                    good.append(await echo(one, FRAMES, 0.02))

            nursery.start_soon(call)
            for _ in range(EACH):
                nursery.start_soon(peers.raw, peers.rubbish())
                nursery.start_soon(peers.raw, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + peers.rubbish())
                nursery.start_soon(peers.tls, peers.rubbish())
                nursery.start_soon(peers.framing, peers.rubbish(80, 2_000, 40_000))
                nursery.start_soon(peers.record, b"\x00" + peers.rubbish(0, 1, 2_000))
                nursery.start_soon(peers.in_a_call, b"\x98" + peers.rubbish(0, 1, 2_000))
            for request in BAD_REQUESTS:
                nursery.start_soon(peers.tls, request)
            for record in BAD_RECORDS:
                nursery.start_soon(peers.record, record)
                nursery.start_soon(peers.in_a_call, record)
            nursery.start_soon(peers.text)
    assert good[0].frames == FRAMES
    assert [event for event in proxy.events() if "exception" in event or event["level"] == "error"] == []
    assert {event["reason"] for event in proxy.events("tls.refused")} == {"not_tls", "protocol"}
    assert {event["status"] for event in proxy.events("upgrade.refused")} == {None, 400, 431}
    refused = {event["code"] for event in proxy.events("session.refused")}
    assert refused == {1006, 4400, 4413}
    ended = [event["code"] for event in proxy.events("session.ended")]
    assert len(ended) == EACH + len(BAD_RECORDS) + 1
    assert set(ended) == {1000, 4400, 4409}
