"""Kills and stops token processes again and again while handshakes and re-authentications want signatures."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from sottovoce.app.places import ANCHORS, CONFIGURATION, token_files
from sottovoce.app.token_process import COMMAND
from sottovoce.hsm import Answered, Ask, Cluster, Operation, TokenEvent, TokenUp, open_pool
from sottovoce.hsm.messages import Answer, Question
from sottovoce.identity import Batcher, BatchEvent, BatchFailed, BatchSigned, Certificates, load_anchors
from sottovoce.session import (
    LeafKind,
    ServedCertificate,
    SignatureWanted,
    Signed,
    handshake_leaf,
    merkle_root,
    signed_root,
)
from sottovoce.settings import load
from sottovoce.transport import SystemClock, SystemEntropy
from tests.app.directories import HOSTS

HANDSHAKE_SECONDS = 5.0
"""What a handshake has (protocol §2)."""


class Outcome(msgspec.Struct):
    """What came of a run."""

    signed: int = 0
    failures: list[str] = msgspec.field(default_factory=list)
    faults_in_flight: int = 0
    away_seconds: list[float] = msgspec.field(default_factory=list)
    """From each fault until the node's process had proved itself again."""
    waited_seconds: list[float] = msgspec.field(default_factory=list)
    """For each signature."""
    roots: Counter[str] = msgspec.field(default_factory=Counter)
    """How many each node signed."""


class Watched:
    """A pool that tells when it is asked, and whether it is working."""

    def __init__(self, pool: Cluster) -> None:
        self.asked = trio.Event()
        self.nodes = pool.nodes
        self.most_out = pool.most_out
        self._pool = pool

    @property
    def in_flight(self) -> int:
        return self._pool.in_flight

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        return await self._pool.call(operation, question, deadline_seconds=deadline_seconds)

    async def call_on(
        self, operation: Operation[Question, Answer], ask: Ask[Question], *, deadline_seconds: float, tenant: str = ""
    ) -> Answered[Answer]:
        self.asked.set()
        self.asked = trio.Event()
        return await self._pool.call_on(operation, ask, deadline_seconds=deadline_seconds, tenant=tenant)


class Processes:
    """Which process each node has now, and how often it had to be started."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.ups: Counter[str] = Counter()

    def take(self, node: str, event: TokenEvent) -> None:
        if isinstance(event, TokenUp):
            self.pids[node] = event.pid
            self.ups[node] += 1


class Storm:
    """Wants signatures at a rate, makes faults at random instants, and checks every proof."""

    def __init__(
        self, pool: Cluster, certificates: Certificates, processes: Processes, *, seed: int, patience_seconds: float
    ) -> None:
        self.outcome = Outcome()
        self._patience_seconds = patience_seconds
        self._batch_events: list[BatchEvent] = []
        self._pool = Watched(pool)
        self._batcher = Batcher(self._pool, certificates, self._batch_events.append)
        self._processes = processes
        self._random = random.Random(seed)  # noqa: S311  instants of faults
        self._verified: set[tuple[bytes, bytes]] = set()

    async def run(
        self, *, faults: int, per_second: float, signals: Sequence[signal.Signals] = (signal.SIGKILL,)
    ) -> Outcome:
        """Send each node a signal in turn, every other one when a signature is being made."""
        async with trio.open_nursery() as background:
            await background.start(self._batcher.run)
            async with trio.open_nursery() as owners, trio.open_nursery() as clients:
                clients.start_soon(self._want_many, owners, 1 / per_second)
                for number in range(faults):
                    node = self._pool.nodes[number % len(self._pool.nodes)]
                    await self._harm(node, signals[number % len(signals)], in_flight=number % 2 == 0)
                    await trio.sleep(self._random.uniform(0.0, 0.1))
                clients.cancel_scope.cancel()
            background.cancel_scope.cancel()
        for event in self._batch_events:
            match event:
                case BatchFailed():
                    self.outcome.failures.append(event.reason)
                case BatchSigned():
                    self.outcome.roots[event.node] += 1
        return self.outcome

    async def _want_many(self, owners: trio.Nursery, interval: float) -> None:
        number = 0
        while True:
            owners.start_soon(self._want, number)
            number += 1
            await trio.sleep(interval)

    async def _want(self, number: int) -> None:
        kind = LeafKind.REKEY_VERIFY if number % 3 == 0 else LeafKind.SERVER_VERIFY
        wanted = SignatureWanted(kind, None, partial(_leaf, number))
        begun = trio.current_time()
        try:
            signed = await self._batcher.sign(wanted, f"10.0.{number % 256}.1", begun + self._patience_seconds)
        except Exception as error:  # noqa: BLE001  any failure is one too many
            self.outcome.failures.append(f"{type(error).__name__}: {error}")
            return
        self.outcome.waited_seconds.append(trio.current_time() - begun)
        self._check(wanted, signed)
        self.outcome.signed += 1

    def _check(self, wanted: SignatureWanted, signed: Signed) -> None:
        """See that a client would take it; each root's signatures once."""
        proof, keys = signed.proof, signed.certificate.decoded.fields
        leaf = wanted.leaf_under(signed.certificate)
        assert merkle_root(leaf, proof.path, proof.directions) == proof.root
        if (proof.root, proof.classical) not in self._verified:
            self._verified.add((proof.root, proof.classical))
            assert keys.pq is not None
            assert proof.pq is not None
            assert keys.classical.verify(signed_root(wanted.kind, proof.root), proof.classical)
            assert keys.pq.verify(signed_root(wanted.kind, proof.root), proof.pq)

    async def _harm(self, node: str, how: signal.Signals, *, in_flight: bool) -> None:
        if in_flight:
            with trio.fail_after(60):
                await self._signing()
        self.outcome.faults_in_flight += bool(self._pool.in_flight)
        ups, began_at = self._processes.ups[node], time.monotonic()
        os.kill(self._processes.pids[node], how)
        with trio.fail_after(60):
            while self._processes.ups[node] == ups:  # noqa: ASYNC110  the counter wakes nobody
                await trio.sleep(0.005)
        self.outcome.away_seconds.append(time.monotonic() - began_at)

    async def _signing(self) -> None:
        """Wait for a random instant at which a signature is being made."""
        while True:
            await self._pool.asked.wait()
            await trio.sleep(self._random.uniform(0.0, 0.001))
            if self._pool.in_flight:
                return


@asynccontextmanager
async def open_storm(
    directory: Path, *, seed: int, patience_seconds: float = HANDSHAKE_SECONDS, **changes: Any
) -> AsyncGenerator[tuple[Storm, Cluster]]:
    """Open the tokens of a directory, with changes to their limits, and certificates of theirs."""
    config = msgspec.structs.replace(load(directory / CONFIGURATION).hsm, **changes)
    processes = Processes()
    async with open_pool(
        config, command=COMMAND, files=partial(token_files, config, directory), report=processes.take
    ) as pool:
        certificates = Certificates(
            pool,
            partial(load_anchors, directory / ANCHORS),
            HOSTS,
            report=[].append,
            clock=SystemClock(),
            entropy=SystemEntropy(),
        )
        await certificates.first()
        with trio.fail_after(60):
            while len(processes.pids) < len(pool.nodes):  # noqa: ASYNC110  likewise
                await trio.sleep(0.005)
        yield Storm(pool, certificates, processes, seed=seed, patience_seconds=patience_seconds), pool


def _leaf(number: int, certificate: ServedCertificate) -> bytes:
    return handshake_leaf(number.to_bytes(48) + certificate.sha384)
