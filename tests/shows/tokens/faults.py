"""What happens to one of three tokens at an instant that chance has, and what comes of it.

A signature counts as in flight at a fault if the token process had begun it and never ended it (killed, stopped), or
ended it behind the fault only (taken away, sessions dropped): by the count that the process keeps in memory which
outlives it.

A token is well again: killed, at once; stopped, when its process is gone, which nobody continues; taken away, when its
directory is back.  It is back when its next process has proved itself.  Where sessions were dropped the process opens
new ones when it is next asked for a signature, and it was away for as long as that one takes.
"""

import datetime as dt
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import trio

from tests.running import RunningProxy
from tests.shows.calls import PATIENCE
from tests.shows.storm import TokenLog
from tests.shows.tokens.records import Dropped, Records, Signed, Work, now, queued_seconds
from tests.shows.tokens.signer import DROP_SESSIONS

NODES = "abc"
_LOOK_SECONDS = 0.02
_SPIN_SECONDS = 0.0005
_IN_USE_SECONDS = 2.0
_MOST_AWAY_SECONDS = 3.0
"""For how long a token's directory is away behind the end of its process."""

_Found = TypeVar("_Found")


class Fault(msgspec.Struct):
    """One that was done."""

    kind: str
    node: str
    pid: int
    at: float
    in_flight: int
    queued_seconds: float
    """For how long the proxy's main thread had waited for a processor until then."""
    back_at: float = 0.0
    away_seconds: float = 0.0
    """From when it was well to when it was back, less what its new process waited for a processor."""


class Faults:
    """Does harm to a proxy's tokens."""

    def __init__(self, proxy: RunningProxy, records: Records, *, seed: int) -> None:
        self.done: list[Fault] = []
        self._proxy = proxy
        self._records = records
        self._log = TokenLog(proxy.log)
        self._random = random.Random(seed)  # noqa: S311  instants and victims
        self._kinds = {
            "killed": self._kill,
            "stopped": self._stop,
            "taken away": self._take_away,
            "sessions dropped": self._drop_sessions,
        }

    async def run(self, *, rounds: int, in_flight: int) -> None:
        """Do each kind of harm so often, at least `in_flight` times with a signature in flight."""
        kinds = [kind for kind in self._kinds for _ in range(rounds)]
        self._random.shuffle(kinds)
        while kinds:
            await self._one(kinds.pop(), in_flight)
            if not kinds:
                kinds += [kind for kind in self._kinds if self._met(kind) < in_flight]
            assert len(self.done) < 10 * rounds * len(self._kinds), "the faults meet no signatures"

    async def all_up(self) -> None:
        """Wait until every token has a process that serves."""
        for node in NODES:
            await self._event("token.started", node, 1)

    def _met(self, kind: str) -> int:
        return sum(fault.kind == kind and fault.in_flight > 0 for fault in self.done)

    async def _one(self, kind: str, in_flight: int) -> None:
        await trio.sleep(self._random.uniform(0.0, 0.3))
        await self._all_alive()
        node = await self._one_at_work() if self._met(kind) < in_flight else self._random.choice(self._in_use(kind))
        pid = self._pid(node)
        fault = Fault(kind, node, pid, now(), 0, queued_seconds(self._proxy.pid))
        self.done.append(fault)
        await self._kinds[kind](fault, Work(self._records.folder, pid))

    async def _all_alive(self) -> None:
        """Wait until no process has gone by itself meanwhile."""
        with trio.fail_after(PATIENCE):
            while any(_state(self._pid(node)) in "Z-" for node in NODES):  # noqa: ASYNC110  no children of ours
                await trio.sleep(_LOOK_SECONDS)

    async def _one_at_work(self) -> str:
        """Wait until a token is signing, and give one that is."""
        works = {node: Work(self._records.folder, self._pid(node)) for node in NODES}
        with trio.fail_after(PATIENCE):
            while not (busy := [node for node in NODES if works[node].in_flight]):  # noqa: ASYNC110  other processes
                await trio.sleep(_SPIN_SECONDS)
        return self._random.choice(busy)

    def _pid(self, node: str) -> int:
        pid: int = self._events("token.started", node)[-1]["pid"]
        return pid

    async def _kill(self, fault: Fault, work: Work) -> None:
        starts, losses = self._counts(fault.node)
        os.kill(fault.pid, signal.SIGKILL)
        well_at = time.time()
        await self._event("token.lost", fault.node, losses + 1)
        fault.in_flight = work.in_flight
        await self._until_back(fault, starts, well_at)

    async def _stop(self, fault: Fault, work: Work) -> None:
        starts, losses = self._counts(fault.node)
        os.kill(fault.pid, signal.SIGSTOP)
        with trio.fail_after(PATIENCE):
            while _state(fault.pid) not in "TZ-":  # noqa: ASYNC110  the kernel stops it: no event
                await trio.sleep(_SPIN_SECONDS)
        fault.in_flight = work.in_flight
        lost = await self._event("token.lost", fault.node, losses + 1)
        await self._until_back(fault, starts, _instant(lost))

    async def _take_away(self, fault: Fault, work: Work) -> None:
        starts, losses = self._counts(fault.node)
        tokens, away = self._proxy.directory / "hsm" / fault.node / "tokens", self._proxy.directory / "away"
        begun, _ = work.numbers
        tokens.rename(away)
        _, ended = work.numbers
        fault.in_flight = max(0, begun - ended)
        await self._event("token.lost", fault.node, losses + 1)
        await trio.sleep(self._random.uniform(0.0, _MOST_AWAY_SECONDS))
        away.rename(tokens)
        await self._until_back(fault, starts, time.time())

    async def _drop_sessions(self, fault: Fault, work: Work) -> None:
        """The process opens new ones; SoftHSM may crash where one is being used, and then the process is replaced."""
        starts, losses = self._counts(fault.node)
        well_at = time.time()
        os.kill(fault.pid, DROP_SESSIONS)
        dropped = await _first(lambda: self._dropped_since(fault) or self._losses(fault.node)[losses:])
        fault.in_flight = dropped.in_flight if isinstance(dropped, Dropped) else work.in_flight
        signed = await _first(lambda: self._losses(fault.node)[losses:] or self._signed_since(fault.node, dropped))
        if isinstance(signed, Signed):
            fault.back_at = signed.at
            fault.away_seconds = signed.at - signed.began_at
        else:
            await self._until_back(fault, starts, well_at)

    def _dropped_since(self, fault: Fault) -> list[Dropped]:
        return [each for each in self._records.of(Dropped) if each.pid == fault.pid and each.at > fault.at]

    def _in_use(self, kind: str) -> Sequence[str]:
        """Which tokens may be harmed: that sessions are gone is seen where signatures are wanted of the token only."""
        if kind != "sessions dropped":
            return NODES
        return sorted({each.node for each in self._records.of(Signed) if each.at > now() - _IN_USE_SECONDS}) or NODES

    def _signed_since(self, node: str, dropped: object) -> list[Signed]:
        if not isinstance(dropped, Dropped):
            return []
        return [each for each in self._records.of(Signed) if each.node == node and each.began_at > dropped.at]

    def _losses(self, node: str) -> list[dict[str, Any]]:
        return self._events("token.lost", node)

    async def _until_back(self, fault: Fault, starts: int, well_at: float) -> None:
        started = await self._event("token.started", fault.node, starts + 1)
        fault.back_at = now()
        fault.away_seconds = _instant(started) - well_at - queued_seconds(started["pid"])

    def _counts(self, node: str) -> tuple[int, int]:
        return len(self._events("token.started", node)), len(self._events("token.lost", node))

    def _events(self, name: str, node: str) -> list[dict[str, Any]]:
        return [event for event in self._log.events(name) if event["node"] == node]

    async def _event(self, name: str, node: str, number: int) -> dict[str, Any]:
        """Wait until there are so many, and give the last of these."""
        return await _first(lambda: self._events(name, node)[number - 1 :])


async def _first(found: Callable[[], Sequence[_Found]]) -> _Found:
    """Wait until there is one, and give the first."""
    with trio.fail_after(PATIENCE):
        while not (these := found()):  # noqa: ASYNC110  another process writes it down: no event
            await trio.sleep(_LOOK_SECONDS)
    return these[0]


def _instant(event: dict[str, Any]) -> float:
    return dt.datetime.fromisoformat(event["time"]).timestamp()


def _state(pid: int) -> str:
    """What /proc says of a process; `-` for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return "-"
