"""A client that goes while something is on its way to it: the call is over then, and not at its last deadline."""

import socket
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from sottovoce.audit import CallEnded
from sottovoce.edge import VoiceConfig
from sottovoce.plane import Flow
from sottovoce.session import ServerSession
from sottovoce.transport import CLOSE_SECONDS
from tests.edge.proxy import Peer, Proxy
from tests.transport.lines.ends import settle

HAND = "/v1/voice/hand"
FRAME = bytes(160)


class Scene:
    """A call over a real socket, at whose client nothing more fits."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.proxy = Proxy()
        self.nursery = nursery
        self.ended_at: float | None = None

    async def open(self) -> Peer:
        ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
        self.nursery.start_soon(self._serve, theirs)
        peer = Peer(ours, HAND)
        await peer.open()
        await settle()
        return peer

    async def _serve(self, stream: trio.SocketStream) -> None:
        await self.proxy.serve(stream)
        self.ended_at = trio.current_time()

    async def clog(self) -> None:
        call = self.proxy.calls[0]
        while not call._flow.is_clogged:
            self.proxy.hand.sinks[0].audio(FRAME, 0, None)
        await settle()

    @property
    def end(self) -> CallEnded:
        ended = self.proxy.log.audit[-1]
        assert isinstance(ended, CallEnded)
        return ended


async def test_gone_in_the_middle_of_a_call(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        peer = await scene.open()
        await scene.clog()
        went_at = trio.current_time()
        await trio.aclose_forcefully(peer.tls.transport)
        await settle()
        assert scene.ended_at == went_at
    assert scene.end.truncated


async def test_gone_while_its_farewell_waits(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        peer = await scene.open()
        await scene.clog()
        peer.websocket.close(1000)
        await peer.tls.send_all(peer.websocket.to_send())
        await settle()
        assert scene.end.truncated  # the carriage was closed, and not the session
        assert scene.ended_at is None
        went_at = trio.current_time()
        await trio.aclose_forcefully(peer.tls.transport)
        await settle()
        assert scene.ended_at == went_at


async def test_gone_while_ours_waits(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        peer = await scene.open()
        await scene.clog()
        scene.proxy.calls[0].send_away()
        await trio.sleep(0.5)
        assert scene.ended_at is None
        went_at = trio.current_time()
        await trio.aclose_forcefully(peer.tls.transport)
        await settle()
        assert scene.ended_at == went_at


async def test_a_client_that_only_waits_has_its_seconds(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        peer = await scene.open()
        await scene.clog()
        scene.proxy.calls[0].send_away()
        told_at = trio.current_time()
        await trio.sleep(60)
        assert scene.ended_at is not None
        assert CLOSE_SECONDS <= scene.ended_at - told_at <= CLOSE_SECONDS + 3
        await trio.aclose_forcefully(peer.tls)


async def test_gone_before_its_backend_is_connected_all_it_said_counts(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        scene.proxy.hand.seconds = 5
        peer = await scene.open()
        for _ in range(3):
            await peer.say(FRAME)
        peer.voice.close(1000, trio.current_time())
        await peer.flush()
        peer.websocket.close(1000)
        await peer.tls.send_all(peer.websocket.to_send())
        await peer.tls.aclose()
        await trio.sleep(10)
        assert scene.ended_at is not None
    assert [each[0] for each in scene.proxy.hand.legs[0].told] == ["audio"] * 3
    assert (scene.end.code, scene.end.truncated, scene.end.side) == (1000, False, "client")


@pytest.mark.parametrize("where", ["client", "backend", "clock"])
async def test_a_crash_in_a_call_is_raised_where_it_is_served(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    crashed: list[BaseException] = []
    proxy = Proxy()

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await proxy.serve(stream)
        except* ZeroDivisionError as group:
            crashed.extend(group.exceptions)

    def crash(*_: object) -> None:
        raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
        nursery.start_soon(serve, theirs)
        peer = Peer(ours, HAND)
        await peer.open()
        await settle()
        if where == "client":
            monkeypatch.setattr(proxy.hand.legs[0], "audio", crash)  # our fault, in one call
            await peer.say(FRAME)
        elif where == "backend":
            proxy.hand.sinks[0].crashed(ZeroDivisionError())  # as a leg tells of one
        else:
            monkeypatch.setattr(Flow, "rest", crash)
            await trio.sleep(VoiceConfig().heartbeat_seconds)
        await settle()
        await trio.aclose_forcefully(peer.tls)
    assert len(crashed) == 1
    assert proxy.hand.legs[0].end is not None  # the backend is told all the same
    assert proxy.hand.legs[0].end.truncated


async def test_a_crash_at_the_end_leaves_no_line_behind(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_session: ServerSession) -> None:
        raise ZeroDivisionError

    flows = list[Flow]()

    async def call() -> None:
        async with trio.open_nursery() as nursery:
            scene = Scene(nursery)
            peer = await scene.open()
            flows.append(cast("Flow", scene.proxy.calls[0]._flow))
            monkeypatch.setattr(ServerSession, "erase", crash)
            await trio.aclose_forcefully(peer.tls.transport)
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await call()
    assert caught.group_contains(ZeroDivisionError)
    assert flows[0]._line._is_released
