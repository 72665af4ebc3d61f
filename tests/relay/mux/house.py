"""A route over mux, and the backends in memory, or behind sockets, that it dials."""

import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import trio
from trio.testing import memory_stream_pair

from sottovoce.relay import CallSink, CallStart, Leg
from sottovoce.relay.mux import Backend, MuxRoute
from sottovoce.relay.mux import frames as mux
from tests.relay.backend import Watched
from tests.relay.calls import START, RecordingSink
from tests.relay.mux.talking import Frame, credit, frame, split


class Peer:
    """A backend at the other end of one connection; takes every call unless a test says otherwise."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard: list[Frame] = []
        self.greeting = mux.GREETING
        self.answer = True
        self.granted = 100
        self.with_opened = b""
        """What it says in the same piece in which it takes a call."""
        self.pongs = True

    async def serve(self) -> None:
        """Greet, then read to the end, and answer what has to be answered."""
        try:
            await self._serve()
        finally:
            await trio.aclose_forcefully(self.stream)

    async def _serve(self) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(self.greeting)
            rest = b""
            while data := await self.stream.receive_some(65_536):
                rest += data
                if rest.startswith(mux.GREETING):
                    rest = rest[8:]
                new, rest = split(rest) if rest[:5] != b"SVMUX"[: len(rest)] else ([], rest)
                self.heard += new
                for name, call, body in new:
                    if name == "open" and self.answer:
                        await self.say(frame("opened", call) + credit(call, self.granted) + self.with_opened)
                    if name == "ping" and self.pongs:
                        await self.say(frame("pong", 0, body))

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def names(self) -> list[tuple[str, int]]:
        return [(name, call) for name, call, _ in self.heard]


class House:
    """A route, and the backends that it has dialled, in a nursery."""

    def __init__(self, nursery: trio.Nursery, *, attempts: int, over_sockets: bool) -> None:
        self._nursery = nursery
        self._over_sockets = over_sockets
        self.streams: list[Watched | trio.SocketStream] = []
        self.peers: list[Peer] = []
        self.failures: list[Exception | float] = []
        """For the next to dial: what to raise, or how long to take."""
        self.next: Mapping[str, object] = {}
        """Attributes of the next peers."""
        backend = Backend("bot:9000", self._open, attempts=attempts, timeout_seconds=2.0, silence_seconds=10.0)
        self.route = MuxRoute("support", backend, queue_frames=5)

    async def _open(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            await trio.sleep(failure)
        ours: Watched | trio.SocketStream
        theirs: trio.abc.Stream
        if self._over_sockets:
            ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
        else:
            one, theirs = memory_stream_pair()
            ours = Watched(one)
        self.streams.append(ours)
        peer = Peer(theirs)
        for name, value in self.next.items():
            setattr(peer, name, value)
        self.peers.append(peer)
        self._nursery.start_soon(peer.serve)
        return ours

    @asynccontextmanager
    async def call(self, sink: CallSink | None = None, start: CallStart = START) -> AsyncGenerator[Leg]:
        async with self.route.connect(start, sink or RecordingSink()) as leg:
            yield leg

    @property
    def are_closed(self) -> list[bool]:
        return [each.closed if isinstance(each, Watched) else each.socket.fileno() < 0 for each in self.streams]


@asynccontextmanager
async def house(*, attempts: int = 1, over_sockets: bool = False) -> AsyncGenerator[House]:
    async with trio.open_nursery() as nursery:
        yield House(nursery, attempts=attempts, over_sockets=over_sockets)
        nursery.cancel_scope.cancel()
