"""A listening socket in memory, as far as the edge looks at one."""

import socket
from typing import cast

import trio

from tests.edge.proxy import CLIENT


class _Name:
    """The part of a socket that knows addresses, and takes options."""

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name

    def getpeername(self) -> tuple[str, int]:
        return self._name

    getsockname = getpeername

    def fileno(self) -> int:
        return 3


_MemoryStream = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]


class _AcceptedSocket(_Name):
    """One that is closed at once, as sockets are."""

    def __init__(self, name: tuple[str, int], stream: _MemoryStream) -> None:
        super().__init__(name)
        self._stream = stream

    def close(self) -> None:
        self._stream.send_stream.close()
        self._stream.receive_stream.close()


class _Accepted(trio.abc.HalfCloseableStream):
    """A memory stream that looks like a socket's."""

    def __init__(self, stream: _MemoryStream, peer: tuple[str, int]) -> None:
        self._stream = stream
        self.socket = _AcceptedSocket(peer, stream)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert level in {socket.SOL_SOCKET, socket.IPPROTO_TCP}


class MemoryListener(trio.abc.Listener[_Accepted]):
    """Hands out the streams that `dial` makes."""

    def __init__(self) -> None:
        self.socket = _Name(("127.0.0.1", 8443))
        self._send, self._receive = trio.open_memory_channel[_Accepted](1000)

    @property
    def bound(self) -> trio.SocketListener:
        return cast("trio.SocketListener", self)

    async def dial(self, host: str = CLIENT.partition(":")[0], port: int = 50112) -> trio.abc.Stream:
        """Open a connection from an address; give the client's end."""
        ours, theirs = trio.testing.memory_stream_pair()
        await self._send.send(_Accepted(theirs, (host, port)))
        return ours

    async def accept(self) -> _Accepted:
        return await self._receive.receive()

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()
