"""An hour of hundreds of calls that come and go: no frame of a healthy call is lost, and what is held goes back.

The calls are the load generator's: a core of its own holds four hundred, and it numbers every frame.  Two of three
have a backend that is well, by a connection of their own or by one that all share; the third has a backend that goes
away every minute.  Some read nothing for a while, again and again: theirs may be dropped, the oldest first.
Certificates are loaded anew meanwhile.

Where that is permitted proxy and generator go before whatever else runs; a generator that was late all the same makes a
loss no verdict, and is named.  `SOAK_SECONDS` is how long, `SOAK_CALLS` how many.  By itself:
`SOAK_SECONDS=120 .venv/bin/python -m pytest -m soak tests/soak/test_hundreds_of_calls.py`.
"""

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from loadtest.peers.servers import Cores, find_cores, run_mux_echo
from loadtest.replay import Outcome, Plan, Target, Watched, run_load
from loadtest.replay.outcome import RouteOutcome
from loadtest.replay.plan import Group, Outage
from loadtest.replay.processes.looking import children_of
from loadtest.replay.processes.started import echo_backend
from sottovoce.client import trust_from_directory
from tests.running import RunningProxy, make_directory, running_proxy
from tests.soak.joining.readings import Reading, grown_kib, read, read_when_quiet

pytestmark = pytest.mark.interop(tool="softhsm2-util")
SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
CALLS = int(os.environ.get("SOAK_CALLS", "300"))
_VISITS = (11, 23, 47, 97, 199)
"""Seconds of a call that is followed by another; at the beginning each has a random part of it left."""
_SLOW_SHARE = 0.1
_OUTAGE_EVERY, _OUTAGE_SECONDS = 60, 2
_RELOAD_EVERY = 90
_SAMPLES = 60
_MAX_GROWN_KIB = 4_096
_MAX_GROWN_SHARE = 0.05
"""Of memory in the second half: one or the other."""


class Run(msgspec.Struct, frozen=True):
    """How much of it."""

    calls: int
    seconds: float
    warm_seconds: float
    quiet_seconds: float
    scale: float = 1.0
    """Of all times in which something happens again."""
    shares: bool = True
    """Whether some calls share a connection, which stays for half a minute behind the last of them."""
    is_firm: bool = True
    """Whether the proxy goes before whatever else runs, as the generator does."""


async def test_a_few_that_come_and_go(tmp_path: Path) -> None:
    few = Run(12, 3, 2, 1, scale=0.03, shares=False, is_firm=False)
    before, after, _ = await come_and_go(tmp_path, few, lambda _: None)
    assert after.counted[:3] == before.counted[:3], "threads that are idle stay for a while"


@pytest.mark.soak
async def test_hundreds_that_come_and_go(tmp_path: Path, figure: Callable[[str], None]) -> None:
    before, after, grown = await come_and_go(tmp_path, Run(CALLS, SECONDS, max(30, SECONDS / 12), 35), figure)
    assert after.counted == before.counted
    assert grown <= max(_MAX_GROWN_KIB, _MAX_GROWN_SHARE * before.proxy.rss_kib)


async def come_and_go(folder: Path, run: Run, figure: Callable[[str], None]) -> tuple[Reading, Reading, float]:
    """Give what was held before and after, and by how many KiB memory grew over the second half."""
    samples: list[Reading] = []
    cores = find_cores(is_firm=run.is_firm)
    with world(folder, cores) as (proxy, plan):
        await trio.to_thread.run_sync(carry, timed(plan, run, run.warm_seconds), cores)
        before = await read_when_quiet(proxy, run.quiet_seconds)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, proxy, run.seconds / _SAMPLES, samples)
            nursery.start_soon(reload, proxy, _RELOAD_EVERY * run.scale)
            outcome = await trio.to_thread.run_sync(carry, timed(plan, run, run.seconds), cores)
            nursery.cancel_scope.cancel()
        after = await read_when_quiet(proxy, run.quiet_seconds)
        crashes, reloads = proxy.events("task.crashed"), len(proxy.events("configuration.loaded")) - 1
    grown = grown_kib(samples[len(samples) // 2 :])
    figure(f"{run.seconds:.0f} s and {run.warm_seconds:.0f} s of warming up, {run.calls} calls; {reloads} reloads")
    figure(told(outcome))
    if outcome.discarded is not None:
        figure(f"no verdict: {outcome.discarded}")
    figure(f"held before: {before}; after: {after}")
    figure(
        f"at most {max(each.proxy.rss_kib for each in samples) / 1024:.1f} MiB,"
        f" {max(each.proxy.descriptors for each in samples)} descriptors, {max(each.tasks for each in samples)} tasks;"
        f" memory grew by {grown:.0f} KiB over the second half"
    )
    assert crashes == []
    assert reloads
    assert not outcome.is_partial
    for route in outcome.routes:
        assert route.carried, f"{route.group} at {route.url}"
        assert not route.wrong
        if is_healthy(route):
            found = (route.lost, route.calls_failed, route.calls_ended)
            assert found == (0, 0, 0), f"{route.reasons}, {outcome.discarded or 'the generator was in time'}"
    return before, after, grown


def carry(plan: Plan, cores: Cores) -> Outcome:
    """In a thread, which has a core and goes before others: a generator that waits does not read, and frames drop."""
    with cores.as_generator():
        return run_load(plan)


def is_healthy(route: RouteOutcome) -> bool:
    return route.group != "slow" and not route.url.endswith("/flaky")


def told(outcome: Outcome) -> str:
    healthy = [route for route in outcome.routes if is_healthy(route)]
    slow = [route for route in outcome.routes if route.group == "slow"]
    flaky = [route for route in outcome.routes if route.url.endswith("/flaky")]
    count = {
        name: (sum(each.sessions for each in routes), sum(each.offered for each in routes), sum(e.lost for e in routes))
        for name, routes in (("healthy", healthy), ("slow", slow), ("with a backend that comes and goes", flaky))
    }
    parts = [f"{calls} calls {name}: {offered} frames, {lost} lost" for name, (calls, offered, lost) in count.items()]
    late, cost = outcome.lateness, outcome.cost
    parts.append(
        f"p99 {max(each.latency.p99 for each in healthy):.1f} ms, generator late by {late.p99:.1f} ms (p99);"
        f" {cost.proxy_us_per_frame or 0:.1f} us a frame, {cost.proxy_cores or 0:.2f} cores for the proxy,"
        f" {cost.generator_cores or 0:.2f} for the generator"
    )
    return "; ".join(parts)


def timed(plan: Plan, run: Run, seconds: float) -> Plan:
    slow = max(1, int(run.calls * _SLOW_SHARE))
    share = (run.calls - slow) // len(_VISITS)
    groups = [
        Group(name=f"{visit} s", calls=share, lasts_seconds=visit * run.scale, again=True, per_second=20)
        for visit in _VISITS
    ]
    groups.append(
        Group(
            name="slow",
            calls=slow,
            lasts_seconds=61 * run.scale,
            reads_seconds=7 * run.scale,
            stalls_seconds=2 * run.scale,
            again=True,
            per_second=20,
        )
    )
    targets = tuple(each for each in plan.targets if run.shares or not each.url.endswith("/shared"))
    every = _OUTAGE_EVERY * run.scale
    outages = tuple(
        Outage(at_seconds=at * every, until_seconds=at * every + _OUTAGE_SECONDS * run.scale)
        for at in range(1, int(seconds / every))
    )
    return msgspec.structs.replace(
        plan,
        targets=targets,
        sessions=sum(group.calls for group in groups),
        seconds=seconds,
        groups=tuple(groups),
        outages=outages,
    )


async def look(proxy: RunningProxy, every_seconds: float, samples: list[Reading]) -> None:
    """Again and again until cancelled."""
    while True:
        await trio.sleep(every_seconds)
        samples.append(await read(proxy))


async def reload(proxy: RunningProxy, every_seconds: float) -> None:
    """Again and again until cancelled."""
    while True:
        await trio.sleep(every_seconds)
        proxy.process.send_signal(signal.SIGHUP)


@contextmanager
def world(folder: Path, cores: Cores) -> Generator[tuple[RunningProxy, Plan]]:
    """Run the proxy and its backends; give a plan that calls them."""
    directory = make_directory(folder)
    wrap = cores.for_backend
    with echo_backend(wrap) as well, echo_backend(wrap) as flaky, run_mux_echo(cores, folder) as (shared, _):
        backends: dict[str, tuple[str, str]] = {
            "well": ("raw", well.url),
            "shared": ("mux", f"tcp://127.0.0.1:{shared}"),
            "flaky": ("raw", flaky.url),
        }
        routes = [
            f"routes.{name}.{key}"
            for name, (adapter, url) in backends.items()
            for key in (f"adapter={adapter}", f"url={url}")
        ]
        with running_proxy(directory, *routes, "voice.epoch_seconds=60") as proxy:
            cores.claim(proxy.pid)
            trust = trust_from_directory(directory)
            targets = tuple(Target(url=f"{proxy.url}/{name}", anchors=trust.anchors, ca=trust.ca) for name in backends)
            watched = Watched(proxy=(proxy.pid,), token=children_of(proxy.pid))
            yield proxy, Plan(targets=targets, sessions=1, seconds=1, watched=watched, backend=flaky)
