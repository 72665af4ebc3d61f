"""Backends on asyncio: `asyncio.run(serve(bot, "127.0.0.1", 9000))`.

A connection is an `asyncio.Protocol`, so it is the same under uvloop.  No scope is held over a handler: it is a plain
task, may be cancelled, may use `wait_for` around anything here, and loses no item by it.
"""

from sottovoce.backend.asyncio.server import serve
from sottovoce.backend.call import Call, Handler
from sottovoce.backend.errors import CallOver, CannotListen
from sottovoce.backend.items import Audio, Data, Dtmf, Ended, Item, Json, MarkPlayed, Mute, Start, Statistics
from sottovoce.backend.serving import ServeOptions

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
