"""Kills the token process again and again while handshakes and re-authentications want signatures."""

import os
import random
import signal
import time

import msgspec
import trio

from sottovoce.hsm import Cluster, Operation, TokenEvent, TokenUp
from sottovoce.hsm.messages import Answer, Question
from sottovoce.identity import Batcher, BatchEvent, BatchFailed
from sottovoce.session import LeafKind, Proof, handshake_leaf, merkle_root
from tests.app.directories import token_pid

HANDSHAKE_SECONDS = 5.0
"""What a handshake has (protocol §2)."""


class Outcome(msgspec.Struct):
    """What came of a run."""

    signed: int = 0
    failures: list[str] = msgspec.field(default_factory=list)
    kills_in_flight: int = 0
    away_seconds: list[float] = msgspec.field(default_factory=list)
    """From each kill until a new process had proved itself."""


class Watched:
    """A token that tells when it is asked, and whether it is working."""

    def __init__(self, token: Cluster) -> None:
        self.asked = trio.Event()
        self._token = token

    @property
    def in_flight(self) -> int:
        return self._token.in_flight

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        self.asked.set()
        self.asked = trio.Event()
        return await self._token.call(operation, question, deadline_seconds=deadline_seconds)


class Storm:
    """Wants signatures at a rate, kills at random instants, and checks every proof."""

    def __init__(self, token: Cluster, token_events: list[TokenEvent], *, seed: int) -> None:
        self.outcome = Outcome()
        self._batch_events: list[BatchEvent] = []
        self._token = Watched(token)
        self._batcher = Batcher(self._token, self._batch_events.append)
        self._token_events = token_events
        self._random = random.Random(seed)  # noqa: S311  instants to kill at

    async def run(self, *, kills: int, per_second: float) -> Outcome:
        async with trio.open_nursery() as background:
            await background.start(self._batcher.run)
            async with trio.open_nursery() as owners, trio.open_nursery() as clients:
                clients.start_soon(self._want_many, owners, 1 / per_second)
                for number in range(kills):
                    await self._kill(in_flight=number % 2 == 0)
                    await trio.sleep(self._random.uniform(0.0, 0.1))
                clients.cancel_scope.cancel()
            background.cancel_scope.cancel()
        self.outcome.failures += [event.reason for event in self._batch_events if isinstance(event, BatchFailed)]
        return self.outcome

    async def _want_many(self, owners: trio.Nursery, interval: float) -> None:
        number = 0
        while True:
            owners.start_soon(self._want, number)
            number += 1
            await trio.sleep(interval)

    async def _want(self, number: int) -> None:
        leaf = handshake_leaf(number.to_bytes(48))
        kind = LeafKind.REKEY_VERIFY if number % 3 == 0 else LeafKind.SERVER_VERIFY
        try:
            proof = await self._batcher.sign(
                kind, leaf, f"10.0.{number % 256}.1", trio.current_time() + HANDSHAKE_SECONDS
            )
        except Exception as error:  # noqa: BLE001  any failure is one too many
            self.outcome.failures.append(f"{type(error).__name__}: {error}")
            return
        assert isinstance(proof, Proof)
        assert merkle_root(leaf, proof.path, proof.directions) == proof.root
        self.outcome.signed += 1

    async def _kill(self, *, in_flight: bool) -> None:
        if in_flight:
            with trio.fail_after(60):
                await self._signing()
        self.outcome.kills_in_flight += bool(self._token.in_flight)
        ups = self._ups()
        killed_at = time.monotonic()
        os.kill(token_pid(self._token_events), signal.SIGKILL)
        with trio.fail_after(60):
            while self._ups() == ups:  # noqa: ASYNC110  the list of events wakes nobody
                await trio.sleep(0.005)
        self.outcome.away_seconds.append(time.monotonic() - killed_at)

    async def _signing(self) -> None:
        """Wait for a random instant at which a signature is being made."""
        while True:
            await self._token.asked.wait()
            await trio.sleep(self._random.uniform(0.0, 0.001))
            if self._token.in_flight:
                return

    def _ups(self) -> int:
        return sum(isinstance(event, TokenUp) for event in self._token_events)
