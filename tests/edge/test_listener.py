"""Listeners on real loopback sockets: limits, isolation, draining."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from sottovoce.edge import AddressUnusable, CurrentServices, Listener, ListenerConfig, bind
from sottovoce.observe import events as log_events
from sottovoce.session import TokenBucket, events
from sottovoce.transport import TlsStream
from sottovoce.wire import Code
from tests.edge.proxy import Peer, Proxy
from tests.transport.ends import client as client_tls


class Serving:
    """A listener that serves, and the connections that a test opened to it."""

    def __init__(self, listener: Listener, nursery: trio.Nursery) -> None:
        self.listener = listener
        self.nursery = nursery
        self._streams: list[trio.SocketStream] = []

    async def dial(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(self.listener.address.host, self.listener.address.port)
        self._streams.append(stream)
        return stream

    async def peer(self) -> Peer:
        """Give a client that has agreed on a call."""
        peer = Peer(await self.dial())
        await peer.open()
        return peer

    async def aclose(self) -> None:
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def serving(proxy: Proxy, **config: object) -> AsyncGenerator[Serving]:
    listener = await bind("listener", ListenerConfig(address="127.0.0.1:0", **config))  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, CurrentServices(proxy.services))
        served = Serving(listener, nursery)
        try:
            yield served
        finally:
            with trio.CancelScope(shield=True):
                await served.aclose()
        nursery.cancel_scope.cancel()


async def test_a_call_over_a_socket() -> None:
    async with serving(Proxy()) as served:
        peer = await served.peer()
        await peer.say(b"x" * 160)
        await peer.until(lambda: len(peer.audio) == 1)
        assert served.listener.calls == 1
        await peer.close()


async def test_a_busy_address_names_itself_and_the_remedy() -> None:
    first = await bind("listener", ListenerConfig(address="127.0.0.1:0"))
    try:
        with pytest.raises(
            AddressUnusable, match=rf"^listeners\.two\.address: .*{first.address.port}.*choose another port"
        ):
            await bind("listeners.two", ListenerConfig(address=str(first.address)))
    finally:
        await first.aclose()


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(AddressUnusable, match="no such address"):
        await bind("listener", ListenerConfig(address="192.0.2.1:8443"))


async def test_ipv6() -> None:
    listener = await bind("listener", ListenerConfig(address="[::1]:0"))
    assert str(listener.address).startswith("[::1]:")
    await listener.aclose()


@pytest.mark.protocol("P11.36")
async def test_too_many_handshakes_of_one_address_are_closed_at_once() -> None:
    proxy = Proxy()
    async with serving(proxy, max_handshakes_per_address=2) as served:
        idle = [await served.dial() for _ in range(2)]
        third = await served.dial()
        assert await third.receive_some(1) == b""
        for stream in idle:
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        await served.peer()
    assert proxy.log.named(log_events.CONNECTION_REFUSED)[0]["reason"] == "max_handshakes_per_address is reached"


async def test_a_flood_of_refusals_fills_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.edge.gate.refusals.LINES_PER_SECOND", 1e-9)
    proxy = Proxy()
    async with serving(proxy, max_connections=1) as served:
        await served.peer()
        for _ in range(30):
            assert await (await served.dial()).receive_some(1) == b""
        lines = proxy.log.named(log_events.CONNECTION_REFUSED)
        assert [line["untold"] for line in lines] == [0] * 10
        monkeypatch.setattr(served.listener._refusals, "_lines", TokenBucket(1e-9, 1.0, 0.0))
        assert await (await served.dial()).receive_some(1) == b""
        assert proxy.log.named(log_events.CONNECTION_REFUSED)[-1]["untold"] == 20


async def test_too_many_connections_are_closed_at_once() -> None:
    async with serving(Proxy(), max_connections=1) as served:
        await served.peer()
        assert await (await served.dial()).receive_some(1) == b""


@pytest.mark.protocol("P10.15")
async def test_draining_ends_every_call_and_the_listener() -> None:
    listener = await bind("listener", ListenerConfig(address="127.0.0.1:0"))
    peers: list[Peer] = []
    async with trio.open_nursery() as clients:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.serve, CurrentServices(Proxy().services))
            for _ in range(3):
                peers.append(Peer(await trio.open_tcp_stream(listener.address.host, listener.address.port)))
                await peers[-1].open()
                clients.start_soon(peers[-1].hear_end)
            listener.drain()
        assert listener.calls == 0
    assert [peer.closed.code for peer in peers if peer.closed] == [Code.DRAINING] * 3
    for peer in peers:
        await peer.tls.aclose()
    with pytest.raises(OSError, match=r"."):
        await trio.open_tcp_stream(listener.address.host, listener.address.port)


async def test_a_call_that_comes_about_while_draining_is_told_too() -> None:
    listener = await bind("listener", ListenerConfig(address="127.0.0.1:0"))
    proxy = Proxy()

    async def dial() -> Peer:
        return Peer(await trio.open_tcp_stream(listener.address.host, listener.address.port))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, CurrentServices(proxy.services))
        first, late = await dial(), await dial()
        await first.open()
        await late.tls.do_handshake()
        listener.drain()
        await trio.testing.wait_all_tasks_blocked(0.02)
        await late.open()
        closed = await late.hear_end()
        assert listener.calls > 0, "it was told, not cut off with everything else"
        await first.hear_end()
    assert late.heard[-1] == events.Ended(Code.DRAINING, "ended by the other side", local=False), "in a frame of type 7"
    assert closed is not None
    assert closed.code == Code.DRAINING
    for peer in (first, late):
        await trio.aclose_forcefully(peer.tls.transport)


async def test_a_bug_in_one_connection_reaches_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError

    proxy = Proxy()
    async with serving(proxy) as served:
        good = await served.peer()
        monkeypatch.setattr("sottovoce.edge.connection.admit", crash)
        bad = Peer(await served.dial())
        assert not await bad.upgrade()
        await good.say(b"x" * 160)
        await good.until(lambda: len(good.audio) == 1)
    assert len(proxy.log.named(log_events.TASK_CRASHED)) == 1


async def test_a_bug_that_shows_while_all_is_cancelled_is_a_line_on_the_log_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def crash_when_cancelled(*_: object) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ZeroDivisionError

    proxy = Proxy()
    monkeypatch.setattr("sottovoce.edge.listener.serve_connection", crash_when_cancelled)
    async with serving(proxy) as served:
        await served.dial()
        await trio.testing.wait_all_tasks_blocked(0.02)
        served.listener.drain()
        await trio.testing.wait_all_tasks_blocked(0.02)
    assert len(proxy.log.named(log_events.TASK_CRASHED)) == 1


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(2000)])
async def test_what_is_no_tls_is_refused_and_logged_without_a_crash(garbage: bytes) -> None:
    proxy = Proxy()
    async with serving(proxy, handshake_seconds=0.2) as served:
        stream = await served.dial()
        await stream.send_all(garbage)
        with suppress(trio.BrokenResourceError):
            while await stream.receive_some(1000):
                pass
    assert proxy.log.named(log_events.TLS_REFUSED)
    assert not proxy.log.named(log_events.TASK_CRASHED)


async def test_a_request_without_the_subprotocol_gets_400(subtests: pytest.Subtests) -> None:
    context = client_tls()
    for request, status in (
        (b"GET /v1/voice/echo HTTP/1.1\r\nHost: localhost\r\n", b"426"),
        (b"GET https://localhost/v1/voice/echo HTTP/1.1\r\nHost: localhost\r\n" + _UPGRADE, b"400"),
        (b"GET /v1/voice/echo HTTP/1.1\r\nHost: localhost\r\n" + _UPGRADE, b"400"),
        (b"GET /v1/voice/none HTTP/1.1\r\nHost: localhost\r\n" + _UPGRADE + _PROTOCOL, b"404"),
        (b"GET /v1/voice/echo HTTP/1.1\r\nHost: localhost\r\nOrigin: https://x\r\n" + _UPGRADE + _PROTOCOL, b"403"),
    ):
        with subtests.test(request=request):
            async with serving(Proxy()) as served:
                tls = TlsStream(await served.dial(), context)
                await tls.send_all(request + b"\r\n")
                answer = b""
                while data := await tls.receive_some():
                    answer += data
                assert answer.split(b" ")[1] == status


_UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
_PROTOCOL = b"Sec-WebSocket-Protocol: sottovoce.v1\r\n"
