"""Backends that misbehave, each in its own way: `bad_backends`; says `{"port": …}`, waits for a line.

The path of a connection's request names the way: `KINDS` has them.
"""

import json
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from sottovoce.transport import ServerWebSocket, UpgradeRequest

LATE_SECONDS = 2.0
TEXT, BINARY, PING = 0x81, 0x82, 0x89
_SMALL_BUFFER_BYTES = 4_096
_FRAME = bytes(640)
_HUGE_BYTES = 16 << 20
_AHEAD = 100
"""Frames in the time of one."""


def frame(first: int, payload: bytes) -> bytes:
    """One WebSocket frame as a server sends it (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload


async def say(what: bytes, stream: trio.SocketStream) -> None:
    """Say it once, then read on."""
    await stream.send_all(what)
    await read_on(stream)


async def flood(what: bytes, stream: trio.SocketStream) -> None:
    """Say it as fast as it is taken, and read nothing."""
    while True:
        await stream.send_all(what)


async def flood_and_read(what: bytes, stream: trio.SocketStream) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood, what, stream)
        await read_on(stream)
        nursery.cancel_scope.cancel()


async def keep_on(what: bytes, stream: trio.SocketStream) -> None:
    """Say it fifty times a second, and read."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_on, stream)
        while True:
            await stream.send_all(what)
            await trio.sleep(0.02)


async def close_soon(stream: trio.SocketStream) -> None:
    await stream.send_all(frame(BINARY, _FRAME))
    await trio.sleep(0.3)
    await stream.send_all(frame(0x88, b"\x03\xe8"))
    await read_on(stream)


async def break_soon(stream: trio.SocketStream) -> None:
    await stream.send_all(frame(BINARY, _FRAME))
    await trio.sleep(0.3)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()


async def read_on(stream: trio.SocketStream) -> None:
    while await stream.receive_some():
        pass


async def stand(stream: trio.SocketStream) -> None:
    """Neither read nor write."""
    await trio.sleep_forever()


KINDS: dict[str, Callable[[trio.SocketStream], Awaitable[None]]] = {
    "garbage": partial(say, bytes(range(7, 256)) * 8),
    "http-again": partial(say, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 3),
    "reserved-opcode": partial(say, frame(0x83, b"x")),
    "masked": partial(say, b"\x82\x84abcdwxyz"),
    "compressed": partial(say, frame(0xC2, _FRAME)),
    "no-utf8": partial(say, frame(TEXT, b'{"type": "\xff"}')),
    "no-json": partial(say, frame(TEXT, b"hello, proxy")),
    "unknown-text": partial(say, frame(TEXT, b'{"type": "makr"}')),
    "half-a-sample": partial(say, frame(BINARY, bytes(639))),
    "huge-message": partial(say, frame(BINARY, bytes(_HUGE_BYTES))),
    "huge-in-pieces": partial(flood, frame(0x00, _FRAME)),
    "texts": partial(flood_and_read, frame(TEXT, b'{"type": "mark", "name": "m"}') * 64),
    "texts-unread": partial(flood, frame(TEXT, b'{"type": "mark", "name": "m"}') * 64),
    "pings-unread": partial(flood, frame(PING, b"are you there?") * 64),
    "pings": partial(keep_on, frame(PING, b"are you there?") * 8),
    "audio": partial(keep_on, frame(BINARY, _FRAME) * _AHEAD),
    "late": read_on,
    "never": stand,
    "silent": read_on,
    "deaf": stand,
    "closes": close_soon,
    "breaks": break_soon,
}
_FIRST = {"huge-in-pieces": frame(0x02, _FRAME)}
"""Said directly behind the answer to the upgrade."""


async def serve(stream: trio.SocketStream) -> None:
    """One connection."""
    websocket = ServerWebSocket(max_message_bytes=65_536)
    try:
        async with stream:
            kind = await _asked(stream, websocket)
            if kind == "never":
                await trio.sleep_forever()
            if kind == "late":
                await trio.sleep(LATE_SECONDS)
            websocket.accept(None)
            await stream.send_all(websocket.to_send() + _FIRST.get(kind, b""))
            await KINDS[kind](stream)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it has had enough of this


async def _asked(stream: trio.SocketStream, websocket: ServerWebSocket) -> str:
    """Wait for the request; give its path."""
    while data := await stream.receive_some():
        for event in websocket.receive(data):
            if isinstance(event, UpgradeRequest):
                return event.target.decode().strip("/")
    raise trio.BrokenResourceError("it went before it had asked")


async def main() -> None:
    bound = trio.socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
    await bound.bind(("127.0.0.1", 0))
    bound.listen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [trio.SocketListener(bound)])
        print(json.dumps({"port": bound.getsockname()[1]}), flush=True)  # noqa: T201  its result
        await trio.to_thread.run_sync(sys.stdin.readline)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
