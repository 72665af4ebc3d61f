"""Calls that go on while something happens to a proxy, and know what came back of what they said."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from sottovoce.client import Audio, Call, CallError
from tests.running import RunningProxy
from tests.shows.calls import calling

FRAME_BYTES = 640
PACE_SECONDS = 0.02
PATIENCE = 120.0


class Talker:
    """One call to the echo, numbered frames at a steady pace until it is told to hang up."""

    def __init__(self, proxy: RunningProxy) -> None:
        self._proxy = proxy
        self._hang_up = trio.Event()
        self.talks = trio.Event()
        self.over = trio.Event()
        self.sent = 0
        self.heard: list[int] = []
        self.error = ""
        self.lasted_seconds = 0.0
        """From the first byte to the end."""
        self._has_said_all = False

    async def run(self) -> None:
        began = trio.current_time()
        try:
            async with calling(self._proxy) as call, trio.open_nursery() as nursery:
                nursery.start_soon(self._say, call)
                async for item in call:
                    if isinstance(item, Audio):
                        self.heard.append(int.from_bytes(item.payload[:4]))
                        self.talks.set()
                        if self._has_said_all and len(self.heard) == self.sent:
                            break
                nursery.cancel_scope.cancel()
        except* CallError as group:
            self.error = str(_first(group))
        finally:
            self.lasted_seconds = trio.current_time() - began
            self.over.set()
            self.talks.set()

    async def _say(self, call: Call) -> None:
        while not self._has_said_all:
            self._has_said_all = self._hang_up.is_set()
            self.sent += 1
            await call.send((self.sent - 1).to_bytes(4) + bytes(FRAME_BYTES - 4))
            with trio.move_on_after(PACE_SECONDS):
                await self._hang_up.wait()

    async def hang_up(self) -> None:
        """Say no more, and wait until all of it is back."""
        self._hang_up.set()
        with trio.fail_after(PATIENCE):
            await self.over.wait()

    @property
    def is_whole(self) -> bool:
        """Whether every frame came back, in order, and nothing else happened."""
        return not self.error and self.heard == list(range(self.sent)) != []


@asynccontextmanager
async def talkers(proxy: RunningProxy, count: int) -> AsyncGenerator[list[Talker]]:
    """So many that talk, until the block ends."""
    async with trio.open_nursery() as nursery:
        talking = [Talker(proxy) for _ in range(count)]
        for each in talking:
            nursery.start_soon(each.run)
        with trio.fail_after(PATIENCE):
            for each in talking:
                await each.talks.wait()
        yield talking
        nursery.cancel_scope.cancel()


async def until_event(proxy: RunningProxy, name: str, count: int = 1) -> list[dict[str, object]]:
    """Wait until the log has so many events of that name."""
    with trio.fail_after(PATIENCE):
        while len(found := proxy.events(name)) < count:  # noqa: ASYNC110  another process writes it
            await trio.sleep(0.02)
    return found


def _first(group: BaseExceptionGroup[CallError]) -> CallError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
