"""Servers that send anything: the call fails with one of our errors, and nothing is left of it."""

import random
from collections.abc import Callable

import pytest

from sottovoce.client import CallError, ConnectFailed
from tests.client.conformance.hosts import Echo, Host
from tests.client.conformance.scenarios import check_erased, read_all, scenario
from tests.client.conformance.words import AnyCall, Driver
from tests.client.servers import FRAME, PureServer
from tests.client.trio.servers import TrioServer

Do = Callable[[TrioServer], object]
_chance = random.Random(5)  # noqa: S311  the same each time
GARBAGE = [_chance.randbytes(_chance.choice((1, 5, 70, 3000))) for _ in range(12)]


class _Babbling(PureServer):
    """It answers the first bytes that come with something else than TLS."""

    def __init__(self, garbage: bytes) -> None:
        super().__init__()
        self.garbage = garbage

    def receive(self, data: bytes, now: float) -> None:
        self.is_asked = True

    def to_send(self) -> bytes:
        garbage, self.garbage = (self.garbage, b"") if hasattr(self, "is_asked") else (b"", self.garbage)
        return garbage


@scenario
async def test_before_there_is_tls(driver: Driver, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.client.sync.opening.HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr("sottovoce.client.asyncio.call.HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr("sottovoce.client.trio.opening.HANDSHAKE_SECONDS", 0.3)
    for garbage in (*GARBAGE[:3], b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        host.ways = [lambda garbage=garbage: _Babbling(garbage)]
        with pytest.raises(ConnectFailed):
            async with driver.connect(host.url):
                pass


@scenario
async def test_in_place_of_the_upgrade(driver: Driver, host: Host) -> None:
    for garbage in GARBAGE[:4]:
        host.ways = [lambda garbage=garbage: PureServer(response=lambda _: garbage + b"\r\n\r\n")]
        with pytest.raises(ConnectFailed):
            async with driver.connect(host.url):
                pass


@scenario
async def test_in_a_call(driver: Driver, host: Host) -> None:
    host.ways = [Echo]

    def under_tls(garbage: bytes) -> Do:
        def do(server: TrioServer) -> None:
            server.pure.to_tls()
            server.pure.tls.send(garbage)

        return do

    def as_record(garbage: bytes) -> Do:
        return lambda server: server.pure.websocket.send_binary(garbage)

    for number, garbage in enumerate(GARBAGE):
        calls: list[AnyCall] = []
        with pytest.raises(CallError):
            await _suffer(driver, host, (under_tls if number % 2 else as_record)(garbage), calls)
        check_erased(calls[0])


async def _suffer(driver: Driver, host: Host, do: Do, calls: list[AnyCall]) -> None:
    async with driver.connect(host.url) as call:
        calls.append(call)
        await call.send(FRAME)
        await driver.blocking(lambda: host.do(do))
        await driver.blocking(host.break_off)  # what was half of something stays half of it
        await read_all(call)
