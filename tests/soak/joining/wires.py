"""Connections of clients that behave oddly: cut off after so many bytes or at a word, or not read for a while."""

import socket
import struct

import trio

_RESET = struct.pack("ii", 1, 0)
_SMALL_BUFFER_BYTES = 4_096


class Wire(trio.abc.Stream):
    """A TCP connection.  `cut` ends it with a reset; `cut_after` bytes, both ways together, it is cut by itself."""

    def __init__(self, stream: trio.SocketStream, cut_after: float = float("inf")) -> None:
        self._stream = stream
        self._left = cut_after
        self._may_read = trio.Event()
        self._may_read.set()

    def hold(self) -> None:
        """Read nothing: what comes fills the network."""
        self._may_read = trio.Event()

    def resume(self) -> None:
        self._may_read.set()

    def cut(self) -> None:
        self._may_read.set()
        if self._stream.socket.fileno() >= 0:
            self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._stream.socket.close()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data[: int(min(self._left, len(data)))])
        self._count(len(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        await self._may_read.wait()
        data = await self._stream.receive_some(max_bytes)
        self._count(len(data))
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left <= 0:
            self.cut()
            raise trio.BrokenResourceError("cut off")


async def dial(port: int, source: str, *, has_small_buffer: bool = False) -> trio.SocketStream:
    """Connect from an address of this machine."""
    made = trio.socket.socket()
    try:
        if has_small_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        await made.bind((source, 0))
        await made.connect(("127.0.0.1", port))
    except BaseException:
        made.close()
        raise
    return trio.SocketStream(made)
