"""Backends on Trio: `trio.run(serve, bot, "127.0.0.1", 9000)`.

Each connection has a nursery with its reader, its writer and the handler.  What the handler says is queued and written
by the writer, so a handler may be cancelled anywhere and half a message never leaves.
"""

from sottovoce.backend.call import Call, Handler
from sottovoce.backend.errors import CallOver, CannotListen
from sottovoce.backend.items import Audio, Data, Dtmf, Ended, Item, Json, MarkPlayed, Mute, Start, Statistics
from sottovoce.backend.serving import ServeOptions
from sottovoce.backend.trio.server import serve

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
