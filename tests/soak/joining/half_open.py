"""Connections that are begun and then left standing, until the proxy closes them."""

import random
import ssl
from contextlib import suppress

import trio

from tests.shows.half_open import CLIENT_HELLO, UPGRADE, context
from tests.soak.joining.tally import Tally
from tests.soak.joining.wires import dial

_SOURCES = 200
STOPS = ("before a byte", "within the ClientHello", "after TLS", "before the voice hello")
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError, ssl.SSLError)


async def stand(port: int, chance: random.Random, tally: Tally, seconds: float) -> None:
    """Open one and wait until it is closed; longer than `seconds` is a fault."""
    tally.half_open += 1
    stop = chance.randrange(len(STOPS))
    source = f"127.31.0.{chance.randint(1, _SOURCES)}"
    try:
        with trio.fail_after(seconds), suppress(*_BROKEN):
            stream: trio.abc.Stream = await dial(port, source)
            async with stream:
                await _stand(stream, stop)
    except trio.TooSlowError:
        tally.fault(f"a connection that stopped {STOPS[stop]} stands for {seconds:g} s")


async def _stand(stream: trio.abc.Stream, stop: int) -> None:
    if stop == 1:
        await stream.send_all(CLIENT_HELLO)
    elif stop > 1:
        stream = trio.SSLStream(stream, context(), https_compatible=True)
        await stream.do_handshake()
        if stop == len(STOPS) - 1:
            await stream.send_all(UPGRADE)
    while await stream.receive_some():
        pass
