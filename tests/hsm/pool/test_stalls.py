"""Second sendings under a virtual clock: a token that stalls now and then, and what that costs callers and tokens."""

import random
import statistics

import msgspec
import trio
from trio.testing import MockClock

from sottovoce.hsm.pool.calls import Attempt, Call
from tests.hsm.pool.told import QUESTION, Room, Told

CALLS = 3000
PER_SECOND = 200.0
STALL_SECONDS = 0.1
STALLS = 0.1
"""Of one token's calls, so of a twentieth of all: as many as there may be second sendings."""


class Stalling(Room):
    """Two nodes that answer in about a millisecond, of which the first stalls at times."""

    def __init__(self, nursery: trio.Nursery, *, hedges: bool) -> None:
        super().__init__("ab")
        self.sent = 0
        self.took: list[float] = []
        self._nursery = nursery
        self._hedges = hedges
        self._random = random.Random(7)  # noqa: S311  latencies
        self.nodes = {name: _Timed(name, self) for name in "ab"}
        self.dispatch.nodes = list(self.nodes.values())

    async def ask(self) -> None:
        call = Call("sign", lambda _: QUESTION, is_idempotent=True, answer_seconds=1.5)
        began = trio.current_time()
        self.dispatch.submit(call, "")
        await call.done.wait()
        self.dispatch.withdraw(call)
        self.took.append(trio.current_time() - began)

    async def ask_many(self) -> None:
        for _ in range(CALLS):
            self._nursery.start_soon(self.ask)
            await trio.sleep(self._random.expovariate(PER_SECOND))

    def follow(self, attempt: Attempt, slow_seconds: float | None) -> None:
        self.sent += 1
        seconds = self._random.lognormvariate(-6.9, 0.3)
        if attempt.node == "a" and self._random.random() < STALLS:
            seconds = STALL_SECONDS
        self._nursery.start_soon(self._answer, attempt, seconds)
        if slow_seconds is not None and self._hedges:
            self._nursery.start_soon(self._slow, attempt, slow_seconds)

    async def _answer(self, attempt: Attempt, seconds: float) -> None:
        await trio.sleep(seconds)
        self.answer(attempt.node, self.nodes[attempt.node].out.index(attempt))

    async def _slow(self, attempt: Attempt, seconds: float) -> None:
        for _ in range(2):  # once more when it is out for twice as long
            await trio.sleep(seconds)
            if attempt in self.nodes[attempt.node].out:
                self.slow(attempt.node, self.nodes[attempt.node].out.index(attempt))


class _Timed(Told):
    def __init__(self, name: str, room: Stalling) -> None:
        super().__init__(name)
        self._room = room

    def send(
        self, call: Call, fields: msgspec.Raw, *, slow_seconds: float | None = None, is_hedge: bool = False
    ) -> Attempt:
        attempt = super().send(call, fields, slow_seconds=slow_seconds, is_hedge=is_hedge)
        self._room.follow(attempt, slow_seconds)
        return attempt


async def run(*, hedges: bool) -> Stalling:
    async with trio.open_nursery() as nursery:
        room = Stalling(nursery, hedges=hedges)
        await room.ask_many()
    return room


async def test_the_slowest_hundredth_is_spared_the_stall_for_a_twentieth_more_load(autojump_clock: MockClock) -> None:
    alone, room = await run(hedges=False), await run(hedges=True)
    assert _p99(alone.took) >= 0.9 * STALL_SECONDS
    assert _p99(room.took) <= 0.1 * STALL_SECONDS
    assert statistics.median(room.took) <= 1.1 * statistics.median(alone.took)
    assert room.sent <= 1.05 * CALLS
    assert room.dispatch.hedges_won > room.dispatch.hedges_lost


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]
