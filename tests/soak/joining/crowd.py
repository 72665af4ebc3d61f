"""Fifty places, each taken by one visit after the other, and what else happens meanwhile."""

import random
from collections.abc import Awaitable, Callable

import msgspec
import trio

from tests.soak.joining.half_open import stand
from tests.soak.joining.tally import Tally
from tests.soak.joining.visits import Visitor
from tests.soak.joining.world import HANDSHAKE_SECONDS, World

STANDING_SECONDS = 2 * HANDSHAKE_SECONDS + 10
"""No half-open connection stands longer: TLS has its limit and the voice handshake too, and the machine is busy."""


class Pace(msgspec.Struct, frozen=True):
    """How fast things go, in seconds."""

    shortest_visit: float
    longest_visit: float
    reload_every: float
    restart_every: float
    half_open_every: float
    longest_pause: float = 1.0


class Crowd:
    """Some places around a world; its visitors keep their tickets from one `run` to the next."""

    def __init__(self, world: World, places: int, pace: Pace, *, seed: int) -> None:
        self.tally = Tally()
        self._world = world
        self._pace = pace
        self._random = random.Random(seed)  # noqa: S311  when and for how long
        self._visitors = [Visitor(world, self.tally, place, seed * 1000 + place) for place in range(places)]

    async def run(self, seconds: float) -> None:
        """Come and go for so long; returns when everybody has left."""
        until = trio.current_time() + seconds
        pace = self._pace
        async with trio.open_nursery() as visits, trio.open_nursery() as happenings:
            happenings.start_soon(self._again_and_again, pace.reload_every, self._reload)
            happenings.start_soon(self._again_and_again, pace.restart_every, self._restart)
            happenings.start_soon(self._leave_standing, visits)
            async with trio.open_nursery() as places:
                for visitor in self._visitors:
                    places.start_soon(self._take_turns, visitor, until)
            happenings.cancel_scope.cancel()

    def leave(self) -> None:
        """Erase what visitors keep."""
        for visitor in self._visitors:
            visitor.tickets.erase()

    async def _take_turns(self, visitor: Visitor, until: float) -> None:
        pace = self._pace
        while (now := trio.current_time()) < until:
            await trio.sleep(self._random.uniform(0, pace.longest_pause))
            longest = max(pace.shortest_visit, min(pace.longest_visit, until - now))
            await visitor.visit(pace.shortest_visit, longest)

    async def _again_and_again(self, every_seconds: float, happen: Callable[[], Awaitable[None]]) -> None:
        while True:
            await trio.sleep(self._random.uniform(0.5, 1.5) * every_seconds)
            with trio.CancelScope(shield=True):
                await happen()

    async def _reload(self) -> None:
        self._world.reload()
        self.tally.reloads += 1
        await trio.lowlevel.checkpoint()

    async def _restart(self) -> None:
        await self._world.restart_backend()
        self.tally.restarts += 1

    async def _leave_standing(self, visits: trio.Nursery) -> None:
        while True:
            await trio.sleep(self._random.uniform(0.5, 1.5) * self._pace.half_open_every)
            visits.start_soon(stand, self._world.proxy.port, self._random, self.tally, STANDING_SECONDS)
