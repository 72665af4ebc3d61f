"""A line of each kind with its peer, and a user that keeps what it was told."""

import math
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, cast

import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

from sottovoce.transport import RecordLayer, TlsStream
from sottovoce.transport.lines import Line, TlsLine, line_over
from tests.transport.ends import server
from tests.transport.streams import shaken

KINDS: Final = ("socket", "tcp", "memory", "tls on socket", "tls on memory")
BY_TASK: Final = ("socket by task", "tls on socket by task")
"""Where the hub cannot stand where Trio waits."""
MUCH: Final = 8_000_000
"""More than lies between two ends: the writer clogs."""


def nothing(*_said: object) -> None:
    """Be content with what was told."""


class User:
    """Keeps what it was told: bytes, and words for the rest."""

    def __init__(self) -> None:
        self.told: list[bytes | tuple[str, object]] = []
        self.on_received: Callable[[bytes], object] = nothing
        self.on_drained: Callable[[], object] = nothing
        self.on_lost: Callable[[str], object] = nothing

    def received(self, data: bytes) -> None:
        self.told.append(data)
        self.on_received(data)

    def drained(self) -> None:
        self.told.append(("drained", None))
        self.on_drained()

    def lost(self, reason: str) -> None:
        self.told.append(("lost", reason))
        self.on_lost(reason)

    def crashed(self, error: Exception) -> None:
        self.told.append(("crashed", error))

    @property
    def data(self) -> bytes:
        """What was received, together."""
        return b"".join(each for each in self.told if isinstance(each, bytes))

    @property
    def words(self) -> list[str]:
        """What else was told, in order."""
        return [each[0] for each in self.told if isinstance(each, tuple)]

    def of(self, word: str) -> list[object]:
        """What came with a word, each time."""
        return [each[1] for each in self.told if isinstance(each, tuple) and each[0] == word]


class Ends:
    """A line with its user, the stream it has borrowed, and the other end, which does one thing after the other."""

    def __init__(self, stream: trio.abc.Stream, peer: trio.abc.Stream) -> None:
        self.stream = stream
        self.peer = peer
        self.is_tls = isinstance(stream, TlsStream)
        self.line: Line = TlsLine(stream) if isinstance(stream, TlsStream) else line_over(stream)
        self.user = User()
        self._has_gone = False
        self._to_do, self._doing = trio.open_memory_channel[Callable[[], Awaitable[object]]](math.inf)

    def peer_does(self, what: Callable[[], Awaitable[object]]) -> None:
        """Have the peer do something behind all it does."""
        self._to_do.send_nowait(what)

    def say(self, *pieces: bytes) -> None:
        """Have the peer write."""
        for piece in pieces:
            self.peer_does(partial(self.peer.send_all, piece))

    async def be_peer(self) -> None:
        """Do what is to be done, until the connection breaks."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for what in self._doing:
                await what()

    def begin(self) -> None:
        """Have the user served."""
        self.line.begin(self.user)
        self.line.resume()

    @property
    def below(self) -> trio.abc.Stream:
        """The peer's stream without TLS."""
        return self.peer.transport if isinstance(self.peer, TlsStream) else self.peer

    async def say_all(self) -> None:
        """Have the peer say that it has said all, and go on reading."""
        if isinstance(self.peer, TlsStream):
            self.peer.core.close()
            await self.peer.transport.send_all(self.peer.core.to_send())
        else:
            await cast("trio.abc.HalfCloseableStream", self.peer).send_eof()

    async def go(self) -> None:
        """Have the peer go without a word, what it has not read unread."""
        below = self.below
        if isinstance(below, trio.SocketStream) and below.socket.family == socket.AF_INET and not self._has_gone:
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset
        self._has_gone = True
        await trio.aclose_forcefully(below)


async def settle() -> None:
    """Let everything happen that can; a busy machine's kernel may need a moment to bring bytes over loopback."""
    await wait_all_tasks_blocked(0.001)
    for _ in range(2):
        await wait_all_tasks_blocked()


async def transports(kind: str) -> tuple[trio.abc.Stream, trio.abc.Stream]:
    """Give two ends, without TLS."""
    if "memory" in kind:
        return lockstep_stream_pair()
    if kind == "tcp":
        return await tcp_pair()
    first, second = socket.socketpair()
    return trio.SocketStream(trio.socket.from_stdlib_socket(first)), trio.SocketStream(
        trio.socket.from_stdlib_socket(second)
    )


async def tcp_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Give two ends of a connection on loopback."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        ours = await trio.open_tcp_stream("127.0.0.1", port)
        return ours, await listener.accept()


@asynccontextmanager
async def ends(kind: str, *, begun: bool = True) -> AsyncGenerator[Ends]:
    """Give a line whose user is served; a TLS line is the server's, its records our own on sockets."""
    ours, theirs = await transports(kind)
    if kind.startswith("tls"):
        records = RecordLayer.OPENSSL if "memory" in kind else RecordLayer.OWN
        peer, stream = await shaken((theirs, ours), server(records=records))
        both = Ends(stream, peer)
    else:
        both = Ends(ours, theirs)
    if begun:
        both.begin()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(both.be_peer)
        try:
            yield both
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await both.line.release()
                await trio.aclose_forcefully(both.stream)
                await trio.aclose_forcefully(both.peer)


async def read_all(stream: trio.abc.Stream, size: int) -> bytes:
    """Read so many bytes, or up to the end."""
    read = bytearray()
    while len(read) < size and (data := await stream.receive_some(65_536)):
        read += data
    return bytes(read)
