"""Backends over real sockets that go, in the ways there are; and what the client of each is told."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from sottovoce.audit import CallEnded
from sottovoce.edge import ServedRoute
from sottovoce.relay.link import BackendRoute, Dialer, parse_url
from sottovoce.relay.raw import RawDialect
from sottovoce.wire import Code
from tests.edge.proxy import Peer, Proxy
from tests.relay.backend import Backend
from tests.transport.lines.ends import settle

FRAME = bytes(160)
STOP = '{"type": "stop", "reason": "done"}'
QUIET_SECONDS = 0.02
"""For which a busy machine's kernel may need to bring bytes over loopback: before, no clock jumps."""
Behaviour = Callable[[Backend], Awaitable[None]]
NOT_READ = 6_000
"""Frames that fill the sockets between a leg and a backend that does not read."""


def stream_of(backend: Backend) -> trio.SocketStream:
    return cast("trio.SocketStream", backend.stream)


async def close_without_a_word(backend: Backend) -> None:
    await backend.stream.aclose()


async def close_one_half(backend: Backend) -> None:
    await stream_of(backend).send_eof()
    await backend.until_end()


async def reset(backend: Backend) -> None:
    stream_of(backend).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    await trio.aclose_forcefully(backend.stream)


async def send_garbage(backend: Backend) -> None:
    await backend.stream.send_all(b"HTTP/1.1 500 Oh\r\n\r\n" * 100)
    await backend.until_end()


async def stop_and_reset(backend: Backend) -> None:
    await backend.send(FRAME, STOP)
    await reset(backend)


async def stop_and_close(backend: Backend) -> None:
    await backend.send(FRAME, STOP)
    await backend.stream.aclose()


async def called(clock: MockClock, behave: Behaviour, *, frames: int) -> tuple[Peer, CallEnded, float]:
    """Have a call whose backend behaves so at a signal; give the client, the end, and how long that took."""
    clock.autojump_threshold = QUIET_SECONDS
    proxy, ready = Proxy(), trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        backend = Backend(stream)
        await backend.accept()
        await ready.wait()
        with suppress(trio.BrokenResourceError):
            await behave(backend)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        port = listener.socket.getsockname()[1]

        async def open_stream() -> trio.abc.Stream:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
            return stream

        dialer = Dialer(parse_url(f"ws://127.0.0.1:{port}/"), open_stream, attempts=1, timeout_seconds=60)
        route = BackendRoute("bot", dialer, lambda start: RawDialect(start, header=False), queue_frames=50)
        cast("dict[str, ServedRoute]", proxy.services.routes)["bot"] = ServedRoute(route)
        ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
        nursery.start_soon(proxy.serve, theirs)
        peer = Peer(ours, "/v1/voice/bot")
        await peer.open()
        for _ in range(frames):
            await peer.say(FRAME)
        await settle()
        began = trio.current_time()
        ready.set()
        await peer.hear_end()
        seconds = trio.current_time() - began
        await peer.tls.aclose()
        nursery.cancel_scope.cancel()
    ended = proxy.log.audit[-1]
    assert isinstance(ended, CallEnded)
    return peer, ended, seconds


@pytest.mark.parametrize("frames", [10, NOT_READ])
@pytest.mark.parametrize("behave", [close_without_a_word, close_one_half, reset, send_garbage])
async def test_a_backend_that_is_gone(autojump_clock: MockClock, behave: Behaviour, frames: int) -> None:
    peer, ended, seconds = await called(autojump_clock, behave, frames=frames)
    assert ended.code == Code.BACKEND_DOWN
    assert ended.side == "backend"
    assert peer.closed is not None
    assert peer.closed.code == Code.BACKEND_DOWN
    assert seconds < 1.5


@pytest.mark.parametrize("frames", [10, NOT_READ])
@pytest.mark.parametrize("behave", [stop_and_close, stop_and_reset])
async def test_what_it_said_before_it_went_counts(autojump_clock: MockClock, behave: Behaviour, frames: int) -> None:
    peer, ended, seconds = await called(autojump_clock, behave, frames=frames)
    assert ended.code == Code.NORMAL
    assert ended.side == "backend"
    assert peer.audio == [b"\0" + FRAME]
    assert seconds < 1.5
