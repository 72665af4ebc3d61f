"""Faults at random instants, of one token at a time, while signatures are wanted at a rate."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from sottovoce.hsm import Cluster, HsmError, TokenDown, TokenUp
from tests.hsm.conftest import PoolEvents
from tests.hsm.pool.signing import DEADLINE, Signing, on
from tests.hsm.token_child import DROP_SESSIONS, Nothing


class Outcome(msgspec.Struct):
    """What came of the faults of one kind."""

    faults: int = 0
    in_flight: int = 0
    """How many of them came while the token was signing."""
    slowest: float = 0.0
    """The longest that a signature took which was wanted then, in seconds."""
    away: float = 0.0
    """The longest that the token was away after it was well again, in seconds."""


class Storm:
    """Wants signatures, does harm, and waits until the token is back."""

    def __init__(self, pool: Cluster, signing: Signing, events: PoolEvents, directory: Path, *, seed: int) -> None:
        self.failures: list[str] = []
        self.signed = 0
        self.outcomes = {name: Outcome() for name in ("killed", "stopped", "taken away", "sessions dropped")}
        self._pool = pool
        self._signing = signing
        self._events = events
        self._directory = directory
        self._random = random.Random(seed)  # noqa: S311  instants and victims
        self._kinds = dict(
            zip(self.outcomes, (self._kill, self._stop, self._take_away, self._drop_sessions), strict=True)
        )
        self._slowest = 0.0

    async def run(self, *, rounds: int, per_second: float) -> None:
        """Do each kind of harm so often, in an order that chance has."""
        kinds = [kind for kind in self.outcomes for _ in range(rounds)]
        self._random.shuffle(kinds)
        async with trio.open_nursery() as owners, trio.open_nursery() as clients:
            clients.start_soon(self._want_many, owners, 1 / per_second)
            for kind in kinds:
                await trio.sleep(self._random.uniform(0.05, 0.2))
                await self._harm(kind)
            clients.cancel_scope.cancel()

    async def _harm(self, kind: str) -> None:
        outcome, node = self.outcomes[kind], self._random.choice(self._pool.nodes)
        if outcome.faults % 2 == 0:
            while not self._busy(node):  # noqa: ASYNC110  nothing tells of a sending
                await trio.sleep(0.0005)
        self._slowest = 0.0
        outcome.faults += 1
        outcome.in_flight += self._busy(node)
        well_at = await self._kinds[kind](node)
        outcome.away = max(outcome.away, trio.current_time() - well_at)
        outcome.slowest = max(outcome.slowest, self._slowest)

    async def _kill(self, node: str) -> float:
        return await self._until_it_is_back(node, lambda: os.kill(on(self._pool, node), signal.SIGKILL))

    async def _stop(self, node: str) -> float:
        """It is well again when the process that hangs is gone."""
        return await self._until_it_is_back(node, lambda: os.kill(on(self._pool, node), signal.SIGSTOP))

    async def _until_it_is_back(self, node: str, harm: Callable[[], None]) -> float:
        ups, downs = self._ups(node), self._downs(node)
        harm()
        await self._events.until(node, TokenDown, downs + 1)
        went_at = trio.current_time()
        await self._events.ups(node, ups + 1)
        return went_at

    async def _take_away(self, node: str) -> float:
        tokens, away = self._directory / f"hsm/{node}/tokens", self._directory / "away"
        ups, downs = self._ups(node), self._downs(node)
        tokens.rename(away)
        await self._events.until(node, TokenDown, downs + 1)
        await trio.sleep(self._random.uniform(0.0, 3.0))
        away.rename(tokens)
        well_at = trio.current_time()
        await self._events.ups(node, ups + 1)
        return well_at

    async def _drop_sessions(self, node: str) -> float:
        await self._pool.call_on(
            DROP_SESSIONS, lambda each: Nothing() if each == node else None, deadline_seconds=DEADLINE
        )
        well_at = trio.current_time()
        await self._signing.many(12)
        return well_at

    async def _want_many(self, owners: trio.Nursery, interval: float) -> None:
        number = 0
        while True:
            owners.start_soon(self._want, f"root {number}")
            number += 1
            await trio.sleep(interval)

    async def _want(self, text: str) -> None:
        began = trio.current_time()
        try:
            await self._signing.sign(text)
        except HsmError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        self.signed += 1
        self._slowest = max(self._slowest, trio.current_time() - began)

    def _busy(self, node: str) -> bool:
        return any(each.name == node and each.in_flight for each in self._pool.status.nodes)

    def _ups(self, node: str) -> int:
        return sum(isinstance(event, TokenUp) for event in self._events.of(node))

    def _downs(self, node: str) -> int:
        return sum(isinstance(event, TokenDown) for event in self._events.of(node))
