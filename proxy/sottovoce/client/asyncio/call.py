"""`connect` and `calls`, for asyncio: from settings to a call that is open, and what is left of it closed."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Unpack

import msgspec

from sottovoce.client.address import Address
from sottovoce.client.asyncio.link import Link
from sottovoce.client.errors import dial_failure, dial_timeout
from sottovoce.client.settings import CallOptions, CallSettings, ConnectOptions, settings_for
from sottovoce.client.shell import GIVE_UP_AFTER_SECONDS, Call, Calls, Conversation, new_machine
from sottovoce.transport import HANDSHAKE_SECONDS, Clock, SystemClock
from sottovoce.wire import Code

Dial = Callable[[Address], Awaitable[socket.socket]]
"""Gives a new connection to an address.  Raises CallError."""

_HAPPY_EYEBALLS_SECONDS = 0.25
"""Before the next address is tried beside the one that has not answered (RFC 8305 §5)."""


@asynccontextmanager
async def connect(
    url: str, *, sock: socket.socket | None = None, clock: Clock | None = None, **options: Unpack[ConnectOptions]
) -> AsyncGenerator[Call]:
    """Make a call, for use in `async with`.  Raises CallError if none comes about; no audio has left then.

    - `url`: `wss://host:port/route`.  `options`: `anchor` and others, which `ConnectOptions` tells.
    - `sock`: a connection to the server that is there already, to be taken over.  `clock`: for tests.

    Left in good order, the block ends the call with code 1000, otherwise with 1001.
    """
    chosen = CallOptions(**options)
    del options  # this frame lives as long as the call, and may be shown in a traceback
    settings = settings_for(url, chosen)
    del chosen
    link = await _open_call(settings, clock or SystemClock(), None if sock is None else _taking(sock))
    try:
        yield Call(link)
    except BaseException:
        await link.close(Code.GOING_AWAY)
        raise
    await link.close(Code.NORMAL)


def calls(
    url: str,
    *,
    give_up_after: float = GIVE_UP_AFTER_SECONDS,
    dial: Dial | None = None,
    clock: Clock | None = None,
    **options: Unpack[ConnectOptions],
) -> Calls:
    """Call, and call again when that may help; for use in `async for`, as `client.shell.calls` tells.

    - `options`: those of `connect`, with the same meaning.  Without `tickets` the calls have a store of their own.
    - `give_up_after`: seconds without a lasting call, after which the last attempt's error is raised.
    - `dial`: makes each connection.  `clock`: for tests.

    Raises CallMisconfigured; every other CallError comes from `async with`.
    """
    time = clock or SystemClock()
    return Calls(Conversation(url, CallOptions(**options), time, give_up_after), _AsyncioWay(time, dial))


class _AsyncioWay(msgspec.Struct, frozen=True):
    """How calls are made."""

    clock: Clock
    dial: Dial | None

    async def open(self, settings: CallSettings) -> Link:
        return await _open_call(settings, self.clock, self.dial)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _open_call(settings: CallSettings, clock: Clock, dial: Dial | None) -> Link:
    """Make a call.  Raises CallError if none comes about; nothing is left of it then, as when this is cancelled."""
    connect_by = clock.now() + HANDSHAKE_SECONDS
    try:
        link = await _connected(settings, dial, lambda: Link(new_machine(settings, clock, connect_by), clock))
    except BaseException:
        settings.wipe_token()
        raise
    try:
        while not link.has_settled:
            await link.news.wait()
    except BaseException:
        await link.close(Code.GOING_AWAY)
        raise
    if link.failure is not None:
        await link.close(Code.NORMAL)
        raise link.failure
    return link


async def _connected(settings: CallSettings, dial: Dial | None, begin: Callable[[], Link]) -> Link:
    """Connect, and have a link begin at the moment that the connection is there."""
    loop, address = asyncio.get_running_loop(), settings.address
    sock = None if dial is None else await dial(address)
    where: dict[str, Any] = {"host": address.host, "port": address.port} if sock is None else {"sock": sock}
    if sock is None and isinstance(loop, asyncio.BaseEventLoop):  # uvloop tries the addresses one after the other
        where["happy_eyeballs_delay"] = _HAPPY_EYEBALLS_SECONDS
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, link = await loop.create_connection(begin, **where)
    except TimeoutError:
        raise dial_timeout(str(address)) from None
    except OSError as error:
        raise dial_failure(error, str(address)) from None
    return link


def _taking(sock: socket.socket) -> Dial:
    """Give what hands out a connection that is there already."""

    async def dial(_: Address) -> socket.socket:
        return sock

    return dial
