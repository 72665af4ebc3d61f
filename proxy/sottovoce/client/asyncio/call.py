"""`connect` and `calls`, for asyncio: from settings to a call that is open, and what is left of it closed."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Unpack

import msgspec

from sottovoce.client.address import Address
from sottovoce.client.asyncio.dialling import Dial, dial_tcp
from sottovoce.client.asyncio.link import Link
from sottovoce.client.errors import dial_failure
from sottovoce.client.settings import CallOptions, CallSettings, ConnectOptions, settings_for
from sottovoce.client.shell import GIVE_UP_AFTER_SECONDS, Call, Calls, Conversation, new_machine
from sottovoce.transport import HANDSHAKE_SECONDS, Clock, SystemClock
from sottovoce.wire import Code


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
    link = await _open_call(settings, clock or SystemClock(), dial_tcp if sock is None else _taking(sock))
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
    dial: Dial = dial_tcp,
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
    dial: Dial

    async def open(self, settings: CallSettings) -> Link:
        return await _open_call(settings, self.clock, self.dial)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _open_call(settings: CallSettings, clock: Clock, dial: Dial) -> Link:
    """Make a call.  Raises CallError if none comes about; nothing is left of it then, as when this is cancelled."""
    connect_by = clock.now() + HANDSHAKE_SECONDS
    try:
        sock = await dial(settings.address)
        link = await _begin(sock, lambda: Link(new_machine(settings, clock, connect_by), clock))
    except OSError as error:  # the connection broke before the loop had it
        settings.wipe_token()
        raise dial_failure(error, str(settings.address)) from None
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


async def _begin(sock: socket.socket, make: Callable[[], Link]) -> Link:
    """Have the loop take over a connection.  Cancelled in that moment, or refused it, uvloop would leave it open."""
    loop = asyncio.get_running_loop()
    taking = asyncio.ensure_future(loop.create_connection(make, sock=sock))
    try:
        _, link = await asyncio.shield(taking)
    except asyncio.CancelledError:
        (await taking)[0].abort()
        raise
    except OSError:
        sock.close()
        raise
    finally:
        # A connection that is reset meanwhile uvloop closes without a word to the socket that it was.
        is_uvloop = type(loop).__module__.startswith("uvloop")
        is_taken = taking.done() and not taking.cancelled() and taking.exception() is None
        if is_uvloop and is_taken and taking.result()[0].is_closing():
            loop.call_soon(sock.detach)
    return link


def _taking(sock: socket.socket) -> Dial:
    """Give what hands out a connection that is there already."""

    async def dial(_: Address) -> socket.socket:
        return sock

    return dial
