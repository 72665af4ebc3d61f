"""A wire between a client and the proxy that remembers every byte of both directions."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Tap:
    """One recorded connection."""

    def __init__(self) -> None:
        self.from_client = bytearray()
        self.from_server = bytearray()


@asynccontextmanager
async def tapped(port: int) -> AsyncGenerator[tuple[trio.abc.Stream, Tap]]:
    """Connect to a port of this machine; give the client's end of the wire, and the tap on it."""
    tap = Tap()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, await trio.testing.open_stream_to_socket_listener(listener) as client:
        near = await listener.accept()
        async with near, await trio.open_tcp_stream("127.0.0.1", port) as server, trio.open_nursery() as nursery:
            nursery.start_soon(_carry, near, server, tap.from_client)
            nursery.start_soon(_carry, server, near, tap.from_server)
            yield client, tap
            nursery.cancel_scope.cancel()


async def _carry(source: trio.SocketStream, target: trio.SocketStream, record: bytearray) -> None:
    try:
        async for data in source:
            record += data
            await target.send_all(data)
        await target.send_eof()
    except trio.BrokenResourceError:
        return  # the other direction has ended the connection
