"""Connects to a host, by whichever of its addresses answers first (RFC 8305), on any asyncio loop.

`loop.create_connection` can do this, too, but not uvloop's, and asyncio's own leaves a socket open where it is
cancelled while an address answers (Python 3.11 to 3.13, `happy_eyeballs_delay`).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from sottovoce.client.address import Address
from sottovoce.client.errors import dial_failure, dial_timeout
from sottovoce.transport import HANDSHAKE_SECONDS

Dial = Callable[[Address], Awaitable[socket.socket]]
"""Gives a new connection to an address.  Raises CallError."""

_NEXT_ADDRESS_SECONDS = 0.25
_Found = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]


async def dial_tcp(address: Address) -> socket.socket:
    """Look the name up and connect to the first of its addresses that answers."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            return await _first(found)
    except TimeoutError:
        raise dial_timeout(str(address)) from None
    except OSError as error:
        raise dial_failure(error, str(address)) from None


async def _first(found: Sequence[_Found]) -> socket.socket:
    attempts: list[asyncio.Task[socket.socket]] = []
    chosen = None
    try:
        for one in found:
            attempts.append(asyncio.create_task(_connected(one)))
            chosen = await _answered(attempts, None if len(attempts) == len(found) else _NEXT_ADDRESS_SECONDS)
            if chosen is not None:
                return chosen.result()
        raise next(error for each in attempts if (error := each.exception()) is not None)
    finally:
        for each in attempts:
            if each is not chosen:
                each.cancel()
                each.add_done_callback(_drop)


async def _answered(
    attempts: list[asyncio.Task[socket.socket]], seconds: float | None
) -> asyncio.Task[socket.socket] | None:
    """Wait for an attempt that succeeds; None if all have failed, or it is time for another one beside them."""
    while pending := [each for each in attempts if not each.done()]:
        done, _ = await asyncio.wait(pending, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if (good := next((each for each in done if each.exception() is None), None)) is not None:
            return good
        if not done:
            return None
    return None


async def _connected(one: _Found) -> socket.socket:
    family, kind, protocol, _, where = one
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
