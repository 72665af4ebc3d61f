"""An hour of fifty calls that join and leave: what the proxy holds is what it held before, and no frame is lost.

`SOAK_SECONDS` is how long (the short form, for every day, takes some twenty seconds); before that the same crowd warms
everything up, leaves, and what is held then is the baseline.  Descriptors, tasks and threads have to be back at it.
Memory is compared by the line that fits the samples of the second half best, since what an allocator keeps back at one
instant says little.

By itself: `SOAK_SECONDS=120 .venv/bin/python -m pytest -m soak tests/soak/test_joins_and_leaves.py`.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio

from loadtest.replay.processes.looking import usage_of
from tests.running import RunningProxy, make_directory
from tests.soak.joining.crowd import Crowd, Pace
from tests.soak.joining.readings import Reading, grown_kib, read, read_when_quiet
from tests.soak.joining.world import world

pytestmark = pytest.mark.interop(tool="softhsm2-util")
SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
CALLS = 50
MAX_GROWN_KIB = 4_096
MAX_GROWN_SHARE = 0.05
"""Of memory in the second half: one or the other."""
SAMPLES = 60


class Run(msgspec.Struct, frozen=True):
    """How much of it."""

    calls: int
    warm_seconds: float
    seconds: float
    epoch_seconds: int
    quiet_seconds: float
    """Idle threads stay for ten."""
    pace: Pace


LONG = Run(
    calls=CALLS,
    warm_seconds=max(30, SECONDS / 12),
    seconds=SECONDS,
    epoch_seconds=7,
    quiet_seconds=12,
    pace=Pace(
        shortest_visit=2,
        longest_visit=min(60, SECONDS / 6),
        reload_every=max(10, SECONDS / 40),
        restart_every=max(10, SECONDS / 60),
        half_open_every=2,
    ),
)
SHORT = Run(
    calls=12,
    warm_seconds=3,
    seconds=4,
    epoch_seconds=2,
    quiet_seconds=1,
    pace=Pace(
        shortest_visit=0.5,
        longest_visit=2.5,
        reload_every=2,
        restart_every=2,
        half_open_every=math.inf,  # they stand for ten seconds
        longest_pause=0.2,
    ),
)


async def test_descriptors_and_tasks_are_back_where_they_were(tmp_path: Path) -> None:
    before, after, _ = await come_and_go(tmp_path, SHORT, lambda _: None)
    assert after.counted[:3] == before.counted[:3], "threads that are idle stay for a while"


@pytest.mark.soak
async def test_everything_is_back_where_it_was_when_all_have_left(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    before, after, grown = await come_and_go(tmp_path, LONG, figure)
    assert after.counted == before.counted
    assert grown <= max(MAX_GROWN_KIB, MAX_GROWN_SHARE * before.proxy.rss_kib)


async def come_and_go(folder: Path, run: Run, figure: Callable[[str], None]) -> tuple[Reading, Reading, float]:
    """Give what was held before and after, and by how many KiB memory grew over the second half."""
    with world(make_directory(folder), epoch_seconds=run.epoch_seconds) as made:
        proxy = made.proxy
        crowd = Crowd(made, run.calls, run.pace, seed=1)
        await crowd.run(run.warm_seconds)
        before = await read_when_quiet(proxy, run.quiet_seconds)
        began, used = trio.current_time(), usage_of([proxy.pid, os.getpid()])
        samples: list[Reading] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sample, proxy, run.seconds / SAMPLES, samples)
            await crowd.run(run.seconds)
            nursery.cancel_scope.cancel()
        took, spent = trio.current_time() - began, usage_of([proxy.pid, os.getpid()]) - used
        after = await read_when_quiet(proxy, run.quiet_seconds)
        crowd.leave()
        crashes = proxy.events("task.crashed")
    grown = grown_kib(samples[len(samples) // 2 :])
    figure(f"{took:.0f} s and {run.warm_seconds:.0f} s of warming up: {crowd.tally}")
    figure(f"held before: {before}")
    figure(
        f"at most {max(each.proxy.rss_kib for each in samples) / 1024:.1f} MiB,"
        f" {max(each.proxy.descriptors for each in samples)} descriptors, {max(each.tasks for each in samples)} tasks;"
        f" memory grew by {grown:.0f} KiB over the second half"
    )
    figure(f"held after: {after}")
    figure(f"{(spent.processor_seconds or 0) / took:.2f} cores for proxy and clients")
    assert not crowd.tally.faults, "\n".join(crowd.tally.faults)
    assert crashes == []
    assert crowd.tally.sent > 0
    assert crowd.tally.lost == 0
    return before, after, grown


async def sample(proxy: RunningProxy, every_seconds: float, samples: list[Reading]) -> None:
    """Look again and again until cancelled."""
    while True:
        samples.append(await read(proxy))
        await trio.sleep(every_seconds)
