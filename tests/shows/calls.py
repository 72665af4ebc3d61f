"""Calls to a running proxy as any client makes them."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio

from sottovoce.app.demo import find_recording
from sottovoce.app.wav import Recording, read_wav
from sottovoce.client import Audio, Call, Ended, connect, trust_from_directory
from tests.running import RunningProxy

PATIENCE = 30.0
"""For what takes no time at all on a machine with nothing else to do."""


def speech() -> Recording:
    """The bundled recording."""
    return read_wav(find_recording())


@asynccontextmanager
async def calling(proxy: RunningProxy, route: str = "echo", **options: Any) -> AsyncGenerator[Call]:
    """Call a route of the proxy, trusting what its directory says."""
    trust = trust_from_directory(proxy.directory)
    async with connect(f"{proxy.url}/{route}", anchor=trust.anchors, ca=trust.ca, **options) as call:
        yield call


async def next_frame(call: Call) -> bytes:
    """The next frame that comes back."""
    async for item in call:
        if isinstance(item, Audio):
            return item.payload
    raise AssertionError("the call ended")


class Echoed:
    """What came back of frames that were sent at a steady pace, and how the call ended."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.delays: list[float] = []
        self.ended: Ended | None = None


async def echo(call: Call, frames: Iterable[bytes], pace_seconds: float) -> Echoed:
    """Send frames, take as many back, hang up in good order."""
    waiting = list(frames)
    sent_at: list[float] = []
    echoed, has_all = Echoed(), trio.Event()

    async def hear() -> None:
        async for item in call:
            if isinstance(item, Audio):
                echoed.delays.append(trio.current_time() - sent_at[len(echoed.frames)])
                echoed.frames.append(item.payload)
                if len(echoed.frames) == len(waiting):
                    has_all.set()
            elif isinstance(item, Ended):
                echoed.ended = item

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear)
        start = trio.current_time()
        for number, frame in enumerate(waiting):
            await trio.sleep_until(start + number * pace_seconds)
            sent_at.append(trio.current_time())
            await call.send(frame)
        with trio.move_on_after(PATIENCE):
            await has_all.wait()
        await call.close()
    return echoed
