"""Clients that call a proxy at a steady rate, and the most that this machine can do of it."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from loadtest.bench.crowd.processor import processor_seconds
from tests.running import ROOT, RunningProxy, environment
from tests.shows.calls import PATIENCE
from tests.shows.tokens.records import RECORDS, Made, Records, now

WANTED_PER_SECOND = 100
_STEPS = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, WANTED_PER_SECOND)
_STEP_SECONDS = 4.0
_HELD = 0.95
"""The part of a rate that has to come about for it to be held; a call that ends a little later is not missing."""
_LOOK_SECONDS = 0.1


class Load:
    """A running one."""

    def __init__(self, process: "subprocess.Popen[bytes]", proxy: RunningProxy, records: Records) -> None:
        self.cost_seconds = 0.0
        """The processor's time that a call took, of clients, proxy and token processes together; `most` finds it."""
        self._process = process
        self._proxy = proxy
        self._records = records

    def call(self, per_second: float) -> None:
        """Have so many new calls come in each second from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%f\n" % per_second)
        self._process.stdin.flush()

    async def until(self, calls: int) -> None:
        """Wait until so many calls have ended."""
        with trio.fail_after(PATIENCE):
            while len(self._records.of(Made)) < calls:  # noqa: ASYNC110  another process makes them: no event
                await trio.sleep(_LOOK_SECONDS)

    async def most(self) -> float:
        """Find out by steps how many calls a second come about, up to the number that is wanted.

        Meanwhile no process may go: what a call costs is taken then, too.
        """
        pids = [self._proxy.pid, *(event["pid"] for event in self._proxy.events("token.started")), self._process.pid]
        before, count = processor_seconds(pids), len(self._records.of(Made))
        most = await self._climb()
        self.cost_seconds = (processor_seconds(pids) - before) / (len(self._records.of(Made)) - count)
        return most

    async def _climb(self) -> float:
        held = 0.0
        for step in _STEPS:
            self.call(step)
            await trio.sleep(_STEP_SECONDS / 4)
            began_at, before = now(), len(self._records.of(Made))
            await trio.sleep(_STEP_SECONDS)
            reached = (len(self._records.of(Made)) - before) / (now() - began_at)
            if reached < _HELD * step:
                return max(held, reached)
            held = step
        return held


@asynccontextmanager
async def calls_to(proxy: RunningProxy, records: Records) -> AsyncGenerator[Load]:
    """Have clients ready; when the block ends, wait for the last of their calls."""
    command = [sys.executable, "-m", "tests.shows.tokens.callers", str(proxy.directory), f"{proxy.url}/echo"]
    variables = environment(**{RECORDS: str(records.folder)})
    with subprocess.Popen(  # noqa: ASYNC220  a moment, before anything is measured
        command, stdin=subprocess.PIPE, cwd=ROOT, env=variables
    ) as process:
        try:
            yield Load(process, proxy, records)
            assert process.stdin is not None
            process.stdin.close()
            with trio.fail_after(PATIENCE):
                assert await trio.to_thread.run_sync(process.wait, PATIENCE) == 0
        finally:
            process.kill()
