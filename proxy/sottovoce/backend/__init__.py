"""The library for backends: calls as an async iterator, over `raw` (docs/backend-raw.md) or `mux`.

    async def bot(call):
        async for item in call:
            match item:
                case Audio(): await call.send(item)

    asyncio.run(serve(bot, "127.0.0.1", 9000))         # or trio.run(serve, bot, "127.0.0.1", 9000)

One pure machine (`backend.machine`) with thin native shells, `backend.asyncio` and `backend.trio`; `serve` here takes
the one of the running loop.  The base installation is enough, and nobody loads the event loop that he does not use.
"""

import sys
from importlib import import_module
from typing import Unpack, cast

from sottovoce.backend.call import Call, Handler
from sottovoce.backend.errors import CallOver, CannotListen
from sottovoce.backend.items import Audio, Data, Dtmf, Ended, Item, Json, MarkPlayed, Mute, Start, Statistics
from sottovoce.backend.serving import Serve, ServeOptions

__all__ = [
    "Audio",
    "Call",
    "CallOver",
    "CannotListen",
    "Data",
    "Dtmf",
    "Ended",
    "Handler",
    "Item",
    "Json",
    "MarkPlayed",
    "Mute",
    "ServeOptions",
    "Start",
    "Statistics",
    "serve",
]


async def serve(handler: Handler, host: str, port: int = 0, **options: Unpack[ServeOptions]) -> None:
    """Serve calls until cancelled, each with a `handler(call)` of its own, on the running event loop."""
    trio = sys.modules.get("trio")
    loop = "trio" if trio is not None and trio.lowlevel.in_trio_task() else "asyncio"
    shell = cast("Serve", import_module(f"sottovoce.backend.{loop}").serve)
    await shell(handler, host, port, **options)
