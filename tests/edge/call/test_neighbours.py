"""Fifty calls through one proxy over real sockets, to a real backend; some of the clients do no good.

Time is virtual: the hub lets Trio's clock jump when the sockets are quiet too, for as long as a busy machine's kernel
may need to bring bytes over loopback.
"""

import socket
from contextlib import suppress
from typing import cast

import trio
from trio.testing import MockClock

from sottovoce.audit import CallEnded
from sottovoce.edge import ServedRoute, VoiceConfig
from sottovoce.relay.link import BackendRoute, Dialer, parse_url
from sottovoce.relay.raw import RawDialect
from sottovoce.transport import PeerClosed, WebSocketClosed
from sottovoce.wire import Code
from tests.edge.proxy import Peer, Proxy
from tests.relay.backend import Backend
from tests.transport.lines.ends import settle

GOOD = 45
FRAMES = 40
SMALL_BUFFER = 4_096
QUIET_SECONDS = 0.02
LONG_SECONDS = 600
"""Of virtual time: a call that hangs is a failure, and not a test that hangs."""
PATH = "/v1/voice/support"


class Street:
    """A proxy and its backend, each behind a listening socket of its own."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.proxy = Proxy(
            VoiceConfig(heartbeat_seconds=10, write_stall_seconds=5, epoch_seconds=3600, queue_frames=2 * FRAMES)
        )
        self.served: list[trio.Event] = []

    async def open(self) -> None:
        (backends,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        (calls,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.nursery.start_soon(trio.serve_listeners, self._echo, [backends])
        self.nursery.start_soon(trio.serve_listeners, self._serve, [calls])
        self.port = calls.socket.getsockname()[1]
        port = backends.socket.getsockname()[1]

        async def open_stream() -> trio.abc.Stream:
            return await trio.open_tcp_stream("127.0.0.1", port)

        route = BackendRoute(
            "support",
            Dialer(parse_url(f"ws://127.0.0.1:{port}/"), open_stream, attempts=1, timeout_seconds=60),
            lambda start: RawDialect(start, header=False),
            queue_frames=2 * FRAMES,
        )
        cast("dict[str, ServedRoute]", self.proxy.services.routes)["support"] = ServedRoute(route)

    async def peer(self, path: str = PATH) -> Peer:
        """Give a client whose call has been agreed on."""
        raw = trio.socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        await raw.connect(("127.0.0.1", self.port))
        peer = Peer(trio.SocketStream(raw), path)
        await peer.open()
        return peer

    async def _serve(self, stream: trio.SocketStream) -> None:
        over = trio.Event()
        self.served.append(over)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        await self.proxy.serve(stream, 1_000)
        over.set()

    async def _echo(self, stream: trio.SocketStream) -> None:
        backend = Backend(stream)
        await backend.accept()
        with suppress(trio.BrokenResourceError, WebSocketClosed):
            while not isinstance(message := await backend.next(), PeerClosed):
                if isinstance(message, bytes):
                    await backend.send(message)


def frame(caller: int, number: int) -> bytes:
    """A frame that nobody else has said."""
    return (caller.to_bytes(2) + number.to_bytes(2)) * 40


async def talk(street: Street, caller: int, heard: dict[int, list[bytes]]) -> None:
    """Say something every 20 ms, hear it all again, hang up."""
    peer = await street.peer()

    async def say() -> None:
        for number in range(FRAMES):
            await peer.say(frame(caller, number))
            await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say)
        await peer.until(lambda: len(peer.audio) == FRAMES)
    heard[caller] = peer.audio
    await peer.close()
    await peer.tls.aclose()


async def never_read(street: Street) -> None:
    peer = await street.peer("/v1/voice/hand")
    await settle()
    while not peer.voice.has_ended and not street.proxy.hand.legs[0].end:
        street.proxy.hand.sinks[0].audio(bytes(160), 0, None)
        await peer.say(bytes(160))  # it says something: it is there, and does not read
        await trio.sleep(0.02)
    await trio.aclose_forcefully(peer.tls)


async def reset(street: Street) -> None:
    peer = await street.peer()
    await peer.say(bytes(160))
    stream = peer.tls.transport
    assert isinstance(stream, trio.SocketStream)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    await trio.aclose_forcefully(stream)


async def send_garbage(street: Street) -> None:
    peer = await street.peer()
    await peer.say(bytes(160))
    with suppress(trio.BrokenResourceError):
        await peer.tls.transport.send_all(b"\x17\x03\x03\x40\x00" + bytes(100_000))
    await peer.hear_end()
    await trio.aclose_forcefully(peer.tls)


async def send_a_bad_record(street: Street) -> None:
    peer = await street.peer()
    await peer.say(bytes(160))
    await peer.send(bytes(100))
    closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.BAD_RECORD
    await peer.tls.aclose()


async def close_one_half(street: Street) -> None:
    peer = await street.peer()
    await peer.say(bytes(160))
    stream = peer.tls.transport
    assert isinstance(stream, trio.SocketStream)
    await stream.send_eof()
    await peer.hear_end()
    await trio.aclose_forcefully(stream)


async def test_what_some_do_is_nothing_to_the_others(autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = QUIET_SECONDS
    heard: dict[int, list[bytes]] = {}
    bad = [
        never_read,
        reset,
        send_garbage,
        send_a_bad_record,
        close_one_half,
    ]
    async with trio.open_nursery() as listening:
        listening.cancel_scope.deadline = trio.current_time() + LONG_SECONDS
        street = Street(listening)
        await street.open()
        async with trio.open_nursery() as calling:
            for behave in bad:
                calling.start_soon(behave, street)
            for caller in range(GOOD):
                calling.start_soon(talk, street, caller, heard)
        for over in street.served:
            await over.wait()
        listening.cancel_scope.cancel()
    assert len(street.served) == GOOD + len(bad)
    assert heard == {caller: [b"\0" + frame(caller, number) for number in range(FRAMES)] for caller in range(GOOD)}
    ends = [(each.code, each.truncated) for each in street.proxy.log.audit if isinstance(each, CallEnded)]
    assert sorted(ends) == sorted(
        [(1000, False)] * GOOD + [(Code.RATE_LIMITED, False), (Code.BAD_RECORD, False)] + [(1006, True)] * 3
    )
