"""`connect` and `calls`, for Trio."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Unpack

import msgspec
import trio

from sottovoce.client.address import Address
from sottovoce.client.settings import CallOptions, CallSettings, ConnectOptions, settings_for
from sottovoce.client.shell import GIVE_UP_AFTER_SECONDS, Call, Calls, Conversation, Link
from sottovoce.client.trio.opening import Dial, dial_tcp, open_call
from sottovoce.transport import Clock, SystemClock
from sottovoce.wire import Code


@asynccontextmanager
async def connect(
    url: str, *, stream: trio.abc.Stream | None = None, clock: Clock | None = None, **options: Unpack[ConnectOptions]
) -> AsyncGenerator[Call]:
    """Make a call, for use in `async with`.  Raises CallError if none comes about; no audio has left then.

    - `url`: `wss://host:port/route`.  `options`: `anchor` and others, which `ConnectOptions` tells.
    - `stream`: a connection to the server that is there already, to be taken over.  `clock`: for tests.

    Left in good order, the block ends the call with code 1000, otherwise with 1001.
    """
    chosen = CallOptions(**options)
    del options  # this frame lives as long as the call, and may be shown in a traceback
    settings = settings_for(url, chosen)
    del chosen
    link = await open_call(settings, clock or SystemClock(), dial_tcp if stream is None else _taking(stream))
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
    return Calls(Conversation(url, CallOptions(**options), time, give_up_after), _TrioWay(time, dial))


class _TrioWay(msgspec.Struct, frozen=True):
    """How calls are made."""

    clock: Clock
    dial: Dial

    async def open(self, settings: CallSettings) -> Link:
        return await open_call(settings, self.clock, self.dial)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def _taking(stream: trio.abc.Stream) -> Dial:
    """Give what hands out a connection that is there already."""

    async def dial(_: Address) -> trio.abc.Stream:
        await trio.lowlevel.cancel_shielded_checkpoint()
        return stream

    return dial
