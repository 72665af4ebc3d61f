"""A comparison as a table for a terminal and for the page."""

from loadtest.peers.comparing import Comparison
from loadtest.peers.connecting import Connecting
from loadtest.peers.contenders import OURS, SOTTOVOCE, WORKERS
from loadtest.peers.statistics import Spread, Standing, discarded, saturated
from loadtest.report import words
from loadtest.report.table import aligned

_NO_ROUND = "no sound round"
_NO_PAIR = "no sound pair"
_NOT_SEEN = "not seen"
_QUIET_CORES = 0.05
"""So much of a core others may have had on a machine that is called quiet."""
_NO_COST = "not held"
"""Of a cost: the load was more than the contender could carry."""


def summary(comparison: Comparison) -> list[list[str]]:
    """Give the table, its heads first; every cell says something."""
    heads = [
        "contender",
        "arrivals",
        "rounds",
        "proxy µs/frame",
        f"to {comparison.yardstick}",
        "token µs/frame",
        "p99 added ms",
        "RSS KiB/call",
        "lost",
    ]
    return [heads, *(_line(standing) for standing in comparison.standings)]


def connections(comparison: Comparison) -> list[list[str]]:
    """Give the table of handshakes and idle calls, its heads first; nothing where they were not measured."""
    if not comparison.connections:
        return []
    heads = [
        "contender",
        "handshake µs",
        "handshakes/s of a core",
        f"to {comparison.yardstick}",
        "idle KiB/call",
        "failed",
    ]
    return [heads, *(_connection(each) for each in comparison.connections)]


def describe_comparison(comparison: Comparison) -> list[str]:
    """Give the lines for a terminal."""
    second = connections(comparison)
    return [*aligned(summary(comparison)), *(["", *aligned(second), ""] if second else []), *notes(comparison)]


def notes(comparison: Comparison) -> list[str]:
    """Give what stands beneath the table: rows that do not count, who is missing, how it was measured."""
    lines = [
        f"DISCARDED: {row.outcome.name}, {words.arrivals(row.outcome.tick_us)}, round {row.round}: {reason}"
        for row, reason in discarded(comparison.rows)
    ]
    lines += [
        f"SATURATED: {row.outcome.name}, {words.arrivals(row.outcome.tick_us)}, round {row.round}: p99 "
        f"{words.milliseconds(row.outcome.latency.p99)}, so its cost does not count"
        for row in saturated(comparison.rows)
    ]
    waits = [row.outcome.cost.proxy_waited_cores or 0.0 for row in comparison.rows]
    if unquiet := [wait for wait in waits if wait > _QUIET_CORES]:
        lines.append(
            f"NOT A QUIET MACHINE: in {len(unquiet)} of {len(waits)} runs others had the server's core, up to "
            f"{max(unquiet):.0%} of the time: measure again on one that does nothing else"
        )
    lines += _workers(comparison)
    lines += [f"not compared: {text}" for text in comparison.missing.values()]
    if comparison.is_partial:
        lines.append("partial: stopped before its time")
    lines += comparison.remarks
    if comparison.rows:
        outcome = comparison.rows[0].outcome
        lines.append(f"{words.count(outcome.sessions)} calls, {outcome.frames_per_second:g} frames/s each way, ")
        lines[-1] += f"{outcome.seconds:g} s a round; medians with [range]; {outcome.started_at}, {outcome.machine}"
    return lines


def _workers(comparison: Comparison) -> list[str]:
    """Say what a second worker costs, and how calls were divided, where both were measured."""
    found = {(each.name, each.tick_us): each.proxy_us_per_frame for each in comparison.standings}
    lines = [
        f"2 workers to 1, {words.arrivals(tick)}: {two.median / one.median:.2f} × the processor time of a frame"
        for (name, tick), two in found.items()
        if name == WORKERS and two is not None and (one := found.get((SOTTOVOCE, tick))) is not None
    ]
    lines += [
        f"{each.name}: a worker had {each.shares.lowest:.0%} to {each.shares.highest:.0%} of the calls"
        for each in comparison.connections
        if each.shares is not None
    ]
    return lines


def show(found: Spread | None, absent: str) -> str:
    """Give a median with its range."""
    if found is None:
        return absent
    if found.rounds == 1:
        return f"{words.number(found.median)} [one round]"
    return f"{words.number(found.median)} [{words.number(found.lowest)} to {words.number(found.highest)}]"


def _connection(found: Connecting) -> list[str]:
    return [
        found.name,
        show(found.us_per_handshake, _NOT_SEEN),
        show(found.per_second, _NOT_SEEN),
        show(found.ratio, _NO_PAIR),
        show(found.kib_per_call, _NOT_SEEN),
        words.count(found.failed),
    ]


def _line(standing: Standing) -> list[str]:
    absent = _NOT_SEEN if standing.rounds else _NO_ROUND
    has_token = standing.name in OURS
    lost = words.count(standing.lost) + (f", {words.count(standing.wrong)} WRONG" if standing.wrong else "")
    return [
        f"{standing.name} {standing.version}",
        f"{standing.tick_us} µs ticks" if standing.tick_us else "each its own",
        f"{standing.rounds} of {standing.rounds + standing.discarded}",
        show(standing.proxy_us_per_frame, _NO_COST if standing.saturated else absent),
        show(standing.ratio, _NO_PAIR),
        show(standing.token_us_per_frame, absent) if has_token else "has none",
        show(standing.p99_ms, _NO_ROUND),
        show(standing.rss_kib_per_call, absent),
        lost if standing.rounds else _NO_ROUND,
    ]
