"""The charts of the page: latency over time, the generator's lateness beneath, the latency's distribution.

One run shows p50, p99 and p99.9; several stand side by side with their p99, so that a colour and a dash are a run.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from loadtest.replay.outcome import Outcome, Quantiles, Second
from loadtest.report import words
from loadtest.report.curves import decades, distribution_points, linear_ticks, nines_ticks, round_up
from loadtest.report.svg import Axis, Curve, Mark, Note, chart

STYLES: Final = 6
"""So many curves can be told apart; further ones begin again."""
_TALL, _FLAT = 220.0, 90.0
_NINES_LABEL = "share of frames that took less (each step: a tenth of what is left)"


def latency_over_time(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    """Draw the percentiles of each second."""
    if len(outcomes) == 1:
        picked: dict[str, Callable[[Quantiles], float]] = {
            "p50": lambda found: found.p50,
            "p99": lambda found: found.p99,
            "p99.9": lambda found: found.p999,
        }
        curves = [
            Curve(label, style, [(second.at, pick(second.latency)) for second in _seconds(outcomes[0])])
            for style, (label, pick) in enumerate(picked.items())
        ]
    else:
        curves = [
            Curve(f"{label}, p99", index % STYLES, [(second.at, second.latency.p99) for second in _seconds(outcome)])
            for index, (outcome, label) in enumerate(zip(outcomes, labels, strict=True))
        ]
    return _over_time(outcomes, labels, curves, "added latency, ms", _TALL)


def groups_over_time(outcome: Outcome) -> str:
    """Draw the p99 of each group of a scenario."""
    curves = [
        Curve(f"{route.group}, p99", index % STYLES, route.by_second) for index, route in enumerate(outcome.routes)
    ]
    return _over_time([outcome], [outcome.name], curves, "added latency of each group, ms", _TALL)


def lateness_over_time(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    """Draw how late the generator was itself: where this rises, latency says nothing about the proxy."""
    curves = [
        Curve(
            f"{label}, p99" if len(outcomes) > 1 else "p99",
            index % STYLES,
            [(second.at, second.lateness.p99) for second in outcome.seconds_of_run if second.lateness.count],
        )
        for index, (outcome, label) in enumerate(zip(outcomes, labels, strict=True))
    ]
    return _over_time(outcomes, labels, curves, "lateness, ms", _FLAT)


def distribution(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    """Draw what share of frames took less than how long, both axes logarithmic."""
    curves = [
        Curve(label, index % STYLES, points)
        for index, (outcome, label) in enumerate(zip(outcomes, labels, strict=True))
        if (points := distribution_points(outcome))
    ]
    if not curves:
        return _nothing("no distribution: " + words.NONE_BACK)
    last = max(curve.points[-1][0] for curve in curves)
    values = [value for curve in curves for _, value in curve.points]
    marks = decades(min(values), max(values))
    x = Axis(_NINES_LABEL, 0.0, max(last, 1.0), nines_ticks(max(last, 1.0)))
    y = Axis("added latency, ms", marks[0], marks[-1], [(mark, f"{mark:g}") for mark in marks], math.log10)
    ticks = [*nines_ticks(max(last, 1.0)), (max(last, 1.0), "the highest")]
    notes = [
        Note(
            start,
            end,
            "\n".join([f"from {text} up", *(f"{curve.label}: {_at(curve, start)}" for curve in curves)]),
        )
        for (start, text), (end, _) in pairwise(ticks)
        if end > start
    ]
    return chart(x, y, curves, height=_TALL, title="Distribution of added latency", notes=notes)


def _at(curve: Curve, place: float) -> str:
    return next((words.milliseconds(value) for x, value in curve.points if x >= place - 1e-9), "no frame so far out")


def _over_time(
    outcomes: Sequence[Outcome], labels: Sequence[str], curves: Sequence[Curve], label: str, height: float
) -> str:
    values = [value for curve in curves for _, value in curve.points]
    if not values:
        return _nothing(f"nothing to draw of {label}: {words.NONE_BACK}")
    end = max(second.at for outcome in outcomes for second in outcome.seconds_of_run)
    top = round_up(max(values))
    x = Axis("second of the run", 0.0, max(end, 1), [(tick, f"{tick:g}") for tick in linear_ticks(max(end, 1))])
    y = Axis(label, 0.0, top, [(tick, f"{tick:g}") for tick in linear_ticks(top)])
    notes = [Note(at - 0.5, at + 0.5, _note(at, outcomes, labels)) for at in range(end + 1)]
    drawn = [curve for curve in curves if curve.points]
    return chart(x, y, drawn, height=height, title=label, notes=notes, marks=_marks(outcomes))


def _marks(outcomes: Sequence[Outcome]) -> list[Mark]:
    """Give what a scenario did and where its phases begin; of several runs nothing, as it would be of one of them."""
    if len(outcomes) != 1:
        return []
    phases = [Mark(phase.at, phase.name) for phase in outcomes[0].phases]
    return sorted([*phases, *(Mark(each.at, each.what) for each in outcomes[0].happenings)], key=lambda mark: mark.at)


def _note(at: int, outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    lines = [f"second {at}"]
    for outcome, label in zip(outcomes, labels, strict=True):
        for second in outcome.seconds_of_run:
            if second.at == at:
                late = words.milliseconds(second.lateness.p99)
                lines.append(f"{label}: {words.quantiles(second.latency)}; generator's lateness p99 {late}")
    return "\n".join(lines)


def _seconds(outcome: Outcome) -> list[Second]:
    return [second for second in outcome.seconds_of_run if second.latency.count]


def _nothing(text: str) -> str:
    return f'<p class="nothing">{text}</p>'
