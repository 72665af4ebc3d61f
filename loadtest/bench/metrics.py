"""What metrics cost, as a share of what the frames cost that 100 calls carry.

Switching metrics off and comparing would drown in noise: two hundredths are less than two runs differ by.  So each part
of their cost is measured by itself, in processor time, and the sum held against that of the real proxy's frames:

- a frame: two increments of an attribute.  They stood there before, for the summary of a call, and count all the same
- a scrape, once in 15 seconds: the numbers of 100 calls read and added up, and the text
- the watch on the event loop, ten times a second

What a frame costs is measured as in `load`, user and system time.  Not counted: what is counted once a call or epoch.
"""

import statistics
from collections.abc import Callable
from typing import cast

import msgspec
import trio
from prometheus_client import CollectorRegistry

from loadtest.bench.figure import Figure
from loadtest.bench.talking import talking
from loadtest.bench.timing import Work, processor_seconds
from loadtest.peers.comparing import Wanted, compare
from loadtest.peers.servers import find_cores
from sottovoce.edge.call import NO_LEG, call_counts
from sottovoce.observe import CallCounts
from sottovoce.observe.metrics import LoopLag, Metrics, Readings, TokenReading
from sottovoce.observe.metrics.labels import OPERATIONS, SUITES
from sottovoce.observe.metrics.loop import EVERY_SECONDS
from sottovoce.plane import FlowStatistics
from sottovoce.relay import Leg, LegStatistics

CALLS = 100
FRAMES_PER_SECOND = CALLS * 50 * 2
SCRAPE_EVERY_SECONDS = 15
ROUNDS = 7
LIMIT_PERCENT = 2.0
_TOKEN = TokenReading(
    is_up=True,
    breaker="closed",
    sessions=3,
    in_flight=0,
    suspects=0,
    suspicions_total=0,
    renewals_total={"sessions": 0, "logins": 0, "keys": 4},
)
_NAME = "metrics, share of CPU per frame"
_INCREMENTS = 100_000
_SCRAPES = 50
_SECONDS = 4.0
_QUICK_SECONDS = 0.001


def measure() -> list[Figure]:
    """Give the share in hundredths; None where the load could not be watched."""
    increment = _middle(_increments) / _INCREMENTS
    scrape = _middle(_scrapes) / _SCRAPES
    watch = _watch_seconds()
    parts = (
        f"{increment * 2e9:.0f} ns a frame, {scrape * 1e3:.1f} ms a scrape of {CALLS} calls each"
        f" {SCRAPE_EVERY_SECONDS} s, {watch * 1e6:.0f} µs/s for the loop's lag"
    )
    frame = _frame_seconds()
    if frame is None:
        return [Figure(_NAME, None, LIMIT_PERCENT, "%", f"{parts}; what {CALLS} calls cost could not be seen")]

    def percent(scrape_every_seconds: float) -> float:
        spent = 2 * increment * FRAMES_PER_SECOND + scrape / scrape_every_seconds + watch
        return spent / (frame * FRAMES_PER_SECOND) * 100

    detail = f"{parts}; of {frame * 1e6:.0f} µs a frame at least; {percent(1):.1f} % if scraped each second"
    return [Figure(_NAME, percent(SCRAPE_EVERY_SECONDS), LIMIT_PERCENT, "%", detail)]


def _frame_seconds() -> float | None:
    """Give the least that a frame cost the real proxy with so many calls, in any round, sound or not.

    A busy machine makes frames cheaper, since more of them wait together: the share is then rather too large.
    """
    rows = compare(Wanted(programs=(), sessions=CALLS, seconds=_SECONDS, rounds=3, ticks=(0,)), find_cores(), {}).rows
    costs = [row.outcome.cost.proxy_us_per_frame for row in rows]
    return min((cost / 1e6 for cost in costs if cost), default=None)


def _middle(make: Callable[[], Work]) -> float:
    """Give the processor time of a turn, the middle one of the rounds; the first only warms up."""
    return statistics.median([processor_seconds(make()) for _ in range(ROUNDS + 1)][1:])


class _Counted:
    __slots__ = ("frames",)

    def __init__(self) -> None:
        self.frames = 0


def _increments() -> Work:
    counted = _Counted()

    def work() -> None:
        for _ in range(_INCREMENTS):
            counted.frames += 1

    return work


class _Leg:
    """As much of a call's backend leg as a scrape reads."""

    @property
    def statistics(self) -> LegStatistics:
        return msgspec.structs.replace(NO_LEG, frames_to_backend=1)


def _scrapes() -> Work:
    """Read and write out the metrics of a proxy with so many calls."""
    metrics = Metrics({"version": "measured"})
    metrics.calls.know_routes(["echo", "bot"])
    for suite in SUITES:
        metrics.calls.session_established("bot", "X25519MLKEM768", suite, is_resumed=False)
    for operation in OPERATIONS:
        metrics.keys.call_took("main", operation, "answered", 0.001)
    flow, leg, (_, server) = FlowStatistics(1, 1, 0), cast("Leg", _Leg()), talking()

    def read() -> Readings:
        calls = [call_counts(flow, server, leg) for _ in range(CALLS)]
        return Readings(
            carried=sum(calls, CallCounts()),
            half_open=0,
            tasks=1,
            tokens={"main": _TOKEN},
            hsm_waiting=0,
            has_quorum=True,
            is_sealed=False,
            hedges={"won": 0, "lost": 0},
            leaf_seconds=1.0,
            leaf_life=1.0,
            voice_certificate_seconds=1.0,
            voice_certificate_life=1.0,
            ticket_key_seconds=1.0,
            tickets={"issued": 1, "used": 1},
            audit_records=1,
            audit_unwritten=0,
            audit_is_up=True,
            is_ready=True,
            workers={"serving": 1},
            worker_restarts=0,
        )

    metrics.watch(read)

    def work() -> None:
        for _ in range(_SCRAPES):
            metrics.exposition("application/openmetrics-text")

    return work


def _watch_seconds() -> float:
    """Give the processor time for each second, from a loop that is woken far more often and so has all at hand."""
    registry = CollectorRegistry()

    async def watched() -> None:
        with trio.move_on_after(1):
            await LoopLag(registry, every_seconds=_QUICK_SECONDS).run()

    seconds = processor_seconds(lambda: trio.run(watched))
    wakes = registry.get_sample_value("sottovoce_loop_lag_seconds_count") or 1.0
    return seconds / wakes / EVERY_SECONDS
