"""`connect` and `calls` for whichever event loop is running: Trio's or asyncio's.

Neither is imported before it is known to run: what a program does not use, it does not load.
"""

import sys
from contextlib import AbstractAsyncContextManager, suppress
from typing import Unpack

from sottovoce.client.errors import CallMisconfigured
from sottovoce.client.settings import ConnectOptions
from sottovoce.client.shell import GIVE_UP_AFTER_SECONDS, Call, Calls
from sottovoce.transport import Clock


def connect(
    url: str, *, clock: Clock | None = None, **options: Unpack[ConnectOptions]
) -> AbstractAsyncContextManager[Call]:
    """Make a call, for use in `async with`.  Raises CallError if none comes about; no audio has left then.

    - `url`: `wss://host:port/route`.  `options`: `anchor` and others, which `ConnectOptions` tells.
    - `clock`: for tests.

    Left in good order, the block ends the call with code 1000, otherwise with 1001.  `client.trio` and `client.asyncio`
    have one each, which can also take over a connection that is there already.
    """
    if _is_trio():
        from sottovoce.client import trio  # noqa: PLC0415  as this module tells

        return trio.connect(url, clock=clock, **options)
    from sottovoce.client import asyncio  # noqa: PLC0415  likewise

    return asyncio.connect(url, clock=clock, **options)


def calls(
    url: str,
    *,
    give_up_after: float = GIVE_UP_AFTER_SECONDS,
    clock: Clock | None = None,
    **options: Unpack[ConnectOptions],
) -> Calls:
    """Call, and call again when that may help; for use in `async for`, as `client.shell.calls` tells.

    - `options`: those of `connect`, with the same meaning.  Without `tickets` the calls have a store of their own.
    - `give_up_after`: seconds without a lasting call, after which the last attempt's error is raised.
    - `clock`: for tests.

    Raises CallMisconfigured; every other CallError comes from `async with`.
    """
    if _is_trio():
        from sottovoce.client import trio  # noqa: PLC0415  likewise

        return trio.calls(url, give_up_after=give_up_after, clock=clock, **options)
    from sottovoce.client import asyncio  # noqa: PLC0415  likewise

    return asyncio.calls(url, give_up_after=give_up_after, clock=clock, **options)


def _is_trio() -> bool:
    """Tell whose task the caller is.  Trio is asked first: it can be a guest of asyncio's loop."""
    loaded = sys.modules
    if "trio" in loaded and loaded["trio"].lowlevel.in_trio_task():
        return True
    if "asyncio" in loaded:
        with suppress(RuntimeError):
            loaded["asyncio"].get_running_loop()
            return False
    raise CallMisconfigured(
        "neither Trio nor asyncio runs here",
        "call this inside of an async function, or use sottovoce.client.sync, which blocks",
    )
