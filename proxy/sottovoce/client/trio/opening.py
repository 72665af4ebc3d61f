"""From settings to a call that is open: the connection, the machine, the task that serves them."""

from collections.abc import Awaitable, Callable

import trio

from sottovoce.client.address import Address
from sottovoce.client.errors import dial_failure, dial_timeout
from sottovoce.client.settings import CallSettings
from sottovoce.client.shell import new_machine
from sottovoce.client.trio.link import Link
from sottovoce.transport import HANDSHAKE_SECONDS, Clock
from sottovoce.wire import Code

Dial = Callable[[Address], Awaitable[trio.abc.Stream]]
"""Gives a new connection to an address.  Raises CallError."""


async def open_call(settings: CallSettings, clock: Clock, dial: Dial) -> Link:
    """Make a call.  Raises CallError if none comes about; nothing is left of it then, as when this is cancelled."""
    connect_by = clock.now() + HANDSHAKE_SECONDS
    try:
        stream = await dial(settings.address)
    except BaseException:
        settings.wipe_token()
        raise
    link = Link(new_machine(settings, clock, connect_by), stream, clock)
    trio.lowlevel.spawn_system_task(link.run, name=f"sottovoce call to {settings.address}")
    try:
        while not link.has_settled:
            await link.news.park()
    except BaseException:
        await link.close(Code.GOING_AWAY)
        raise
    if link.failure is not None:
        await link.close(Code.NORMAL)
        raise link.failure
    return link


async def dial_tcp(address: Address) -> trio.abc.Stream:
    """Look the name up and connect to the first of its addresses that answers."""
    with trio.move_on_after(HANDSHAKE_SECONDS):
        try:
            return await trio.open_tcp_stream(address.host, address.port)
        except OSError as error:
            raise dial_failure(error, str(address)) from None
    raise dial_timeout(str(address))
