"""A run as a table for a terminal."""

from collections.abc import Iterator, Sequence

from loadtest.replay.outcome import Outcome, PhaseOutcome, RouteOutcome
from loadtest.report import words

_LABEL = 16
_WORTH_A_WORD = 0.05


def describe(outcome: Outcome) -> list[str]:
    """Give the table's lines; a figure that was not to be had is said in words."""
    return [f"{outcome.name}: {words.load(outcome)}", *(f"  {label:<{_LABEL}} {text}" for label, text in rows(outcome))]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Give a table's lines, its columns under each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Give what each line is about, and what it says."""
    if outcome.discarded is not None:
        yield "DISCARDED", f"{outcome.discarded}: the figures say nothing about {outcome.name}"
    if outcome.is_partial:
        yield "partial", "the run was stopped before its time"
    yield "frames", _frames(outcome)
    yield "added latency", words.quantiles(outcome.latency)
    yield "handshakes", _handshakes(outcome)
    yield from _calls(outcome)
    cost = outcome.cost
    yield (
        "proxy",
        f"{words.measured(cost.proxy_us_per_frame, 'µs of processor')} per forwarded frame"
        + _cores(cost.proxy_cores)
        + _waited(cost.proxy_waited_cores),
    )
    yield "token process", f"{words.measured(cost.token_us_per_frame, 'µs of processor')} per forwarded frame"
    yield "memory", f"{words.measured(cost.rss_kib_per_call, 'KiB')} per call"
    yield "generator", _generator(outcome)
    if cost.backend_cores is not None:
        yield "backend", f"{cost.backend_cores:.2f} cores"
    if len(outcome.routes) > 1 or outcome.about:
        for route in outcome.routes:
            yield ("group" if route.group else "route"), _route(route)
    for phase in outcome.phases:
        yield "phase", _phase(phase)
    for happening in outcome.happenings:
        yield "event", f"{happening.at:g} s: {happening.what}"
    yield "machine", outcome.machine
    yield "started", outcome.started_at


def _frames(outcome: Outcome | RouteOutcome) -> str:
    text = (
        f"{words.count(outcome.offered)} offered, {words.count(outcome.carried)} carried, "
        f"{words.count(outcome.lost)} lost ({words.share(outcome.lost, outcome.offered)})"
    )
    wrong = sum(route.wrong for route in outcome.routes) if isinstance(outcome, Outcome) else outcome.wrong
    return f"{text}, {words.count(wrong)} WRONG" if wrong else text


def _handshakes(outcome: Outcome) -> str:
    found = outcome.handshakes
    text = f"{words.count(found.done)} done, {words.count(found.failed)} failed, {words.number(found.per_second)}/s"
    if not found.latency.count:
        return text
    return f"{text}, p50 {words.milliseconds(found.latency.p50)}  p99 {words.milliseconds(found.latency.p99)}"


def _calls(outcome: Outcome) -> Iterator[tuple[str, str]]:
    if failed := sum(route.calls_failed for route in outcome.routes):
        yield "calls failed", words.count(failed)
    if ended := sum(route.calls_ended for route in outcome.routes):
        yield "calls ended", f"{words.count(ended)} by the other side, in the middle of the run"
    for route in outcome.routes:
        if route.reasons:
            yield "because", words.reasons(route.reasons)


def _cores(cores: float | None) -> str:
    return "" if cores is None else f", {cores:.2f} cores busy"


def _waited(cores: float | None) -> str:
    """Say that others had the processors that the proxy was ready to use, if that is worth a word."""
    return "" if cores is None or cores < _WORTH_A_WORD else f", kept waiting for {cores:.2f} more: NOT A QUIET MACHINE"


def _generator(outcome: Outcome) -> str:
    late = outcome.lateness
    text = f"lateness p99 {words.milliseconds(late.p99)}" if late.count else "lateness: no frame was sent"
    if outcome.reading.count:
        text += f", read within p99 {words.milliseconds(outcome.reading.p99)}"
    return text + _cores(outcome.cost.generator_cores)


def _phase(phase: PhaseOutcome) -> str:
    each = (f"{found.group} p99 {words.p99(found.latency)}" for found in phase.groups)
    return f"{phase.name}, {phase.at} to {phase.until} s: {', '.join(each)}"


def _route(route: RouteOutcome) -> str:
    named = f"{route.group} at {route.url}" if route.group else route.url
    cleared = f"; barge-in: {words.quantiles(route.clears)}" if route.clears.count else ""
    return f"{named}  {words.count(route.sessions)} calls, {_frames(route)}; {words.quantiles(route.latency)}{cleared}"
