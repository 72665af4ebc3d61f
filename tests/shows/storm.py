"""Handshakes at a steady rate against a running proxy whose token process is killed again and again.

Each call is whole: handshake, a frame there and back, an end in good order.  Which kill met a signature in flight is
what the proxy itself says (`token.lost`, `in_flight`): it counts what it had asked for and not been answered.
"""

import datetime as dt
import json
import os
import random
import signal
from enum import Enum
from itertools import cycle
from pathlib import Path
from typing import Any

import trio

from sottovoce.client import CallError
from sottovoce.primitives import Group, KeyShare, SystemKem
from tests.running import RunningProxy
from tests.shows.calls import calling, next_frame
from tests.shows.tokens.records import queued_seconds

_LOOK_SECONDS = 0.02
_SIGNING_SECONDS = (0.010, 0.016)
"""When after a ClientHello its signature is being made: ten milliseconds of gathering, then three or four of work."""
_FROZEN_SECONDS = 0.06
"""Long enough for a ClientHello to become a question to the token process, however busy the machine is."""


class _Instant(Enum):
    """When to kill."""

    ANY = "at any instant"
    SIGNING = "when a signature is probably being made"
    FROZEN = "stopped at any instant, and killed when a signature is wanted of it"


class Storm:
    """One run.  `failures` has what went wrong with a call, in words."""

    def __init__(self, proxy: RunningProxy, *, seed: int, per_second: float = 20) -> None:
        self.calls_made = 0
        self.queued_seconds: list[float] = []
        """How much of each replacement's start it spent waiting for a processor that others used."""
        self.failures: list[str] = []
        self.killed_at: list[dt.datetime] = []
        self._proxy = proxy
        self._log = TokenLog(proxy.log)
        self._interval = 1 / per_second
        self._running: set[int] = set()
        self._ended = trio.Event()
        self._random = random.Random(seed)  # noqa: S311  instants to kill at
        self.hello = trio.Event()
        """Set when a ClientHello is made; then there is a new one."""

    async def run(self, *, kills: int, in_flight: int) -> None:
        """Kill at least so many times, until at least so many kills met a signature in flight."""
        instants = cycle((_Instant.ANY, _Instant.SIGNING, _Instant.ANY, _Instant.FROZEN))
        async with trio.open_nursery() as calls:
            load = await calls.start(self._call_many, calls)
            while len(self.killed_at) < kills or self.kills_in_flight < in_flight:
                assert len(self.killed_at) < 3 * kills, "the kills meet no signatures"
                await self._wait_for(_Instant.FROZEN if len(self.killed_at) >= kills else next(instants))
                self.killed_at.append(dt.datetime.now(dt.UTC))
                os.kill(self.pids[-1], signal.SIGKILL)
                await self._until_replaced()
            load.cancel()

    @property
    def kills_in_flight(self) -> int:
        return sum(event["in_flight"] > 0 for event in self._log.events("token.lost"))

    @property
    def away_seconds(self) -> list[float]:
        """From each kill to the replacement that has proved itself, by the log's clock."""
        started = [dt.datetime.fromisoformat(event["time"]) for event in self._log.events("token.started")[1:]]
        return [(up - down).total_seconds() for down, up in zip(self.killed_at, started, strict=True)]

    @property
    def pids(self) -> list[int]:
        return [event["pid"] for event in self._log.events("token.started")]

    async def _call_many(
        self, calls: trio.Nursery, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            while True:
                calls.start_soon(self._call)
                await trio.sleep(self._interval)

    async def _call(self) -> None:
        self.calls_made += 1
        number = self.calls_made
        self._running.add(number)
        frame = number.to_bytes(640)
        try:
            async with calling(self._proxy) as call:
                await call.send(frame)
                if await next_frame(call) != frame:
                    self.failures.append("another frame came back")
        except (CallError, AssertionError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        self._running.discard(number)
        self._ended.set()
        self._ended = trio.Event()

    async def _wait_for(self, instant: "_Instant") -> None:
        pid = self.pids[-1]
        match instant:
            case _Instant.ANY:
                await trio.sleep(self._random.uniform(0, 2 * self._interval))
            case _Instant.SIGNING:
                await self.hello.wait()
                await trio.sleep(self._random.uniform(*_SIGNING_SECONDS))
            case _Instant.FROZEN:
                await trio.sleep(self._random.uniform(0, self._interval))
                os.kill(pid, signal.SIGSTOP)
                await self.hello.wait()
                await trio.sleep(_FROZEN_SECONDS)

    async def _until_replaced(self) -> None:
        """Wait until a new process has proved itself and served the calls that waited: none meets two kills.

        A handshake has five seconds, of which a machine that is busy with other things leaves little.
        """
        while len(self.pids) <= len(self.killed_at):  # noqa: ASYNC110  another process writes the log: no event
            await trio.sleep(_LOOK_SECONDS)
        self.queued_seconds.append(queued_seconds(self.pids[-1]))
        late = self._running.copy()
        while late & self._running:
            await self._ended.wait()


class TokenLog:
    """What the log says of the token, read on from where it was read to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = 0
        self._events: list[dict[str, Any]] = []

    def events(self, name: str) -> list[dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self._read_to)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        lines = whole.splitlines()
        self._events += [json.loads(line) for line in lines if b'"event":"token.' in line]
        return [event for event in self._events if event["event"] == name]


class TellingKem(SystemKem):
    """Tells a storm when a client makes its key share."""

    storm: Storm

    def generate(self, group: Group) -> KeyShare:
        self.storm.hello.set()
        self.storm.hello = trio.Event()
        return super().generate(group)
