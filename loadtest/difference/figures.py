"""Results of `run`, `compare` and `knee`, read back from their JSON, as named figures that can be held against others.

A figure says which way is worse; one that says nothing is there to be read.  Pure but for reading the file.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadtest.knee.stepping import SCHEMA as KNEE
from loadtest.knee.stepping import Knees
from loadtest.peers.comparing import SCHEMA as COMPARE
from loadtest.peers.comparing import Comparison
from loadtest.peers.statistics import Spread, middle
from loadtest.replay.outcome import SCHEMA as RUN
from loadtest.replay.outcome import Outcome
from loadtest.report import words
from sottovoce.primitives import SottovoceError, one_line

_MAX_BYTES = 64 << 20


class ResultUnreadable(SottovoceError):
    """A file is no result; the text says what to give."""


class Figure(msgspec.Struct, frozen=True):
    """One measured thing; None where it could not be taken."""

    name: str
    value: float | None
    unit: str
    worse: int = 0
    """1: more is worse; -1: less is; 0: it is not judged."""
    least: float = 0.0
    """A difference up to this is none, however large its share."""
    is_vital: bool = False
    """Whether it is there wherever anything was measured: without it its fellows say nothing either."""


class Result(msgspec.Struct, frozen=True):
    """A file."""

    schema: str
    load: str
    """What was offered, in words; results of other loads are not alike."""
    machine: str
    figures: tuple[Figure, ...]
    unsound: str | None
    """Why nothing follows from it; None if something does."""
    outcomes: tuple[Outcome, ...]
    """To draw."""


def read_result(file: Path) -> Result:
    """Read what --json has printed.  Raises ResultUnreadable."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ResultUnreadable(f"{file}: is larger than any result; give what --json printed")
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, object])
        match found.get("schema"):
            case schema if schema == RUN:
                return _of_run(msgspec.convert(found, Outcome))
            case schema if schema == COMPARE:
                return _of_comparison(msgspec.convert(found, Comparison))
            case schema if schema == KNEE:
                return _of_knees(msgspec.convert(found, Knees))
            case schema:
                shown = one_line(str(schema))
                raise ResultUnreadable(f"{file}: its schema is {shown}; give what run, compare or knee --json printed")
    except OSError as error:
        raise ResultUnreadable(f"{file}: {error.strerror}; give the path of a file that --json printed") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ResultUnreadable(f"{file}: is no result; give what run, compare or knee --json printed") from None


def _of_run(outcome: Outcome) -> Result:
    unsound = (
        outcome.discarded
        or (None if outcome.offered else "no frame was offered")
        or ("stopped before its time" if outcome.is_partial else None)
    )
    return Result(RUN, words.load(outcome), outcome.machine, tuple(_figures(outcome)), unsound, (outcome,))


def _figures(outcome: Outcome) -> Iterator[Figure]:
    latency, hands, cost = outcome.latency, outcome.handshakes, outcome.cost
    yield Figure("added latency p50", latency.p50 if latency.count else None, "ms", 1, 0.2)
    yield Figure("added latency p99", latency.p99 if latency.count else None, "ms", 1, 0.5, is_vital=True)
    yield Figure("added latency p99.9", latency.p999 if latency.count else None, "ms")
    yield Figure("lost frames", 100 * outcome.lost / outcome.offered if outcome.offered else None, "%", 1, 0.01)
    yield Figure("wrong frames", float(sum(route.wrong for route in outcome.routes)), "", 1)
    yield Figure("calls failed", float(hands.failed), "", 1)
    yield Figure("calls ended by the other side", float(sum(route.calls_ended for route in outcome.routes)), "", 1)
    yield Figure("handshake p50", hands.latency.p50 if hands.latency.count else None, "ms", 1, 2.0)
    yield Figure("handshake p99", hands.latency.p99 if hands.latency.count else None, "ms")
    yield Figure("proxy, processor of a frame", cost.proxy_us_per_frame, "µs", 1, 0.2)
    yield Figure("token process, of a frame", cost.token_us_per_frame, "µs", 1, 0.2)
    yield Figure("memory of a call", cost.rss_kib_per_call, "KiB", 1, 2.0)
    for route in outcome.routes if outcome.about else ():
        if route.latency.count:
            yield Figure(f"{route.group}: added latency p99", route.latency.p99, "ms", 1, 0.5)
        if route.clears.count:
            yield Figure(f"{route.group}: barge-in p99", route.clears.p99, "ms", 1, 0.5)
    for phase in outcome.phases:
        for found in phase.groups:
            if found.latency.count:
                yield Figure(f"{phase.name}, {found.group}: added latency p99", found.latency.p99, "ms", 1, 0.5)
    yield Figure("generator late p99", outcome.lateness.p99 if outcome.lateness.count else None, "ms")


def _of_comparison(found: Comparison) -> Result:
    first = next((row.outcome for row in sorted(found.rows, key=lambda row: row.outcome.is_partial)), None)
    figures: list[Figure] = []
    for standing in found.standings:
        name = f"{standing.name}, {f'{standing.tick_us} µs ticks' if standing.tick_us else 'own instants'}"
        figures += [
            Figure(f"{name}: proxy, processor of a frame", _median(standing.proxy_us_per_frame), "µs", 1, 0.2),
            Figure(f"{name}: to {found.yardstick}", _median(standing.ratio), "x", 1),
            Figure(f"{name}: added latency p99", _median(standing.p99_ms), "ms", 1, 0.5, is_vital=True),
            Figure(f"{name}: memory of a call", _median(standing.rss_kib_per_call), "KiB", 1, 2.0),
            Figure(
                f"{name}: lost frames of a round", standing.lost / standing.rounds if standing.rounds else None, "", 1
            ),
        ]
    load = "nothing" if first is None else f"{first.sessions} calls, {first.seconds:g} s a round"
    machine = "" if first is None else first.machine
    return Result(COMPARE, load, machine, tuple(figures), _why_no_comparison(found), tuple(middle(found.rows)))


def _why_no_comparison(found: Comparison) -> str | None:
    """Say why nothing follows from a comparison; None if something does of at least one contender."""
    if found.is_partial:
        return "stopped before its time"
    if not found.rows:
        return "no round came about"
    if any(row.is_sound for row in found.rows):
        return None
    return f"every round was discarded, the first as {found.rows[0].reason}"


def _of_knees(found: Knees) -> Result:
    figures = [
        Figure(
            f"{knee.name}: most calls{' or more' if knee.is_open else ''}",
            float(knee.held),
            "",
            0 if knee.is_open else -1,
            found.sought.precision * knee.held,
        )
        for knee in found.knees
    ]
    outcomes = tuple(
        step.outcome
        for step in found.steps
        if any(knee.name == step.name and step.calls in {knee.held, knee.missed} for knee in found.knees)
    )
    load = f"p99 < {found.sought.limit_ms:g} ms, {found.sought.seconds:g} s a step"
    unsound = "stopped before its time" if found.is_partial else None if figures else "nothing was searched"
    return Result(KNEE, load, outcomes[0].machine if outcomes else "", tuple(figures), unsound, outcomes)


def _median(found: Spread | None) -> float | None:
    return None if found is None else found.median
