"""What calls to a backend cost: 100 of them on one core, and 200 beside HAProxy under both arrival models.

The proxy is the real one, with SoftHSM and a `raw` route to a backend that echoes, on a core of its own; generator and
backend have another (`loadtest.peers`).  A round whose generator was the limit does not count; where no round counts,
or HAProxy is missing, the figure says so and is not kept.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from loadtest.bench.figure import Figure
from loadtest.peers.comparing import Comparison, Wanted, compare
from loadtest.peers.contenders import SOTTOVOCE
from loadtest.peers.servers import Program, find_cores, find_program, remedy
from loadtest.peers.statistics import Row, Spread, Standing, middle
from loadtest.peers.table import show
from loadtest.replay import Outcome
from loadtest.report import write_png

CALLS, COMPARED_CALLS = 100, 200
SECONDS = 4.0
ROUNDS = 3
LATENCY_LIMIT_MS = 5.0
LATENESS_LIMIT_MS = 2.0
RATIO_LIMITS = {0: 1.7, 1000: 2.3}
"""By tick, in microseconds: each frame at its own instant, and gathered to milliseconds."""
_PEER = "haproxy"


def measure(picture: Path | None = None) -> list[Figure]:
    """Give the figures; draw the run of 100 calls if asked.  Raises DrawingImpossible."""
    alone = compare(Wanted(programs=(), sessions=CALLS, seconds=SECONDS, rounds=ROUNDS, ticks=(0,)), find_cores(), {})
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_png(middle(alone.rows)[0], picture)
    return [*latency_figures(alone.rows), *_compared(find_program(_PEER))]


def latency_figures(rows: Sequence[Row]) -> list[Figure]:
    """Give the latency of 100 calls, and beside it how late the generator was itself."""
    sound = [row.outcome for row in rows if row.is_sound]
    reasons = [row.reason for row in rows if row.reason is not None]
    discarded = f"{len(reasons)} of {len(rows)} rounds discarded: {reasons[0]}" if reasons else f"{len(rows)} rounds"

    def middle_one(outcomes: Sequence[Outcome], pick: Callable[[Outcome], float]) -> float | None:
        return statistics.median(map(pick, outcomes)) if outcomes else None

    every = [row.outcome for row in rows]
    return [
        Figure(
            f"{CALLS} calls to raw, p99 added",
            middle_one(sound, lambda outcome: outcome.latency.p99),
            LATENCY_LIMIT_MS,
            "ms",
            f"one core, each frame at its own instant; {discarded}",
        ),
        Figure(
            f"{CALLS} calls to raw, generator late",
            middle_one(sound or every, lambda outcome: outcome.lateness.p99),
            LATENESS_LIMIT_MS,
            "ms",
            "p99 of the same runs: the figure above counts only while this one is small",
        ),
    ]


def _compared(program: Program | None) -> list[Figure]:
    if program is None:
        return [ratio_figure(tick, None, None, remedy(_PEER)) for tick in RATIO_LIMITS]
    wanted = Wanted(
        programs=(program,), sessions=COMPARED_CALLS, seconds=SECONDS, rounds=ROUNDS, ticks=tuple(RATIO_LIMITS)
    )
    return ratio_figures(compare(wanted, find_cores(), {}))


def ratio_figures(comparison: Comparison) -> list[Figure]:
    """Give the ratios to HAProxy, one for each arrival model."""
    found = {(standing.name, standing.tick_us): standing for standing in comparison.standings}
    reasons = [row.reason or ("saturated" if row.was_saturated else "") for row in comparison.rows]
    why = "; ".join(dict.fromkeys(filter(None, reasons)))
    missing = comparison.missing.get(_PEER, f"no sound pair of rounds: {why}")
    return [
        ratio_figure(tick, found.get((SOTTOVOCE, tick)), found.get((_PEER, tick)), missing) for tick in RATIO_LIMITS
    ]


def ratio_figure(tick: int, ours: Standing | None, theirs: Standing | None, missing: str) -> Figure:
    """Give one of them; without a ratio, `missing` says why."""
    name = f"{COMPARED_CALLS} calls, CPU to HAProxy's, " + (f"{tick} µs ticks" if tick else "own instants")
    if ours is None or theirs is None or ours.ratio is None:
        return Figure(name, None, RATIO_LIMITS[tick], "x", missing)
    return Figure(name, ours.ratio.median, RATIO_LIMITS[tick], "x", _detail(ours, theirs, ours.ratio))


def _detail(ours: Standing, theirs: Standing, ratio: Spread) -> str:
    absent = "not seen"
    text = (
        f"[{ratio.lowest:.2f} to {ratio.highest:.2f}] {show(ours.proxy_us_per_frame, absent)} to "
        f"{show(theirs.proxy_us_per_frame, absent)} µs a forwarded frame, {ratio.rounds} rounds"
    )
    left_out = ours.discarded + ours.saturated + theirs.discarded + theirs.saturated
    return f"{text}, {left_out} runs discarded" if left_out else text
