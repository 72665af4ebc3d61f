"""Two ends of TLS on a pair of transports."""

import trio

from sottovoce.transport import TlsContext, TlsStream
from tests.transport.ends import client, server

Pair = tuple[TlsStream, TlsStream]


def over(transports: tuple[trio.abc.Stream, trio.abc.Stream], settings: TlsContext | None = None) -> Pair:
    """Give a client and a server that have not shaken hands."""
    return TlsStream(transports[0], client()), TlsStream(transports[1], settings or server())


async def shaken(transports: tuple[trio.abc.Stream, trio.abc.Stream], settings: TlsContext | None = None) -> Pair:
    """Give a client and a server that have."""
    ends = over(transports, settings)
    async with trio.open_nursery() as nursery:
        for end in ends:
            nursery.start_soon(end.do_handshake)
    return ends
