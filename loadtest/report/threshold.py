"""`--fail-if 'p99>20ms, lost>0.1%'`: what a run must not be.  Pure.

Each condition is a quantity, an operator and a value; a run misses the threshold when one of them is true of it.  What
could not be measured cannot be shown to be kept, so it is missed too, and so is everything by a run whose figures are
discarded.
"""

import math
import operator
import re
from collections.abc import Callable

import msgspec

from loadtest.replay.outcome import Outcome, Quantiles
from loadtest.report import words
from sottovoce.primitives import SottovoceError, one_line

_LATENCIES = ("p50", "p90", "p99", "p999", "max")
_MILLISECONDS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
QUANTITIES = (*_LATENCIES, "lost", "lateness.p99", "cpu", "failed")
_UNITS = {
    **dict.fromkeys((*_LATENCIES, "lateness.p99"), ("us", "ms", "s")),
    "lost": ("", "%"),
    "cpu": ("us",),
    "failed": ("",),
}
_QUANTITY = re.compile(r"\s*([A-Za-z][\w.]*)")
_OPERATOR = re.compile(r"\s*(>=|<=|>|<)(?![<>=])")
_VALUE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,9})?)")
_UNIT = re.compile(r"\s*([A-Za-zµ%]*)\s*")
_SHOWN = 60


class ThresholdMalformed(SottovoceError):
    """The text names the place and what is possible there."""


class Condition(msgspec.Struct, frozen=True):
    """One comparison; `value` is in milliseconds for latencies, in `unit` otherwise."""

    text: str
    quantity: str
    comparison: str
    value: float
    unit: str

    def missed_by(self, outcome: Outcome) -> str | None:
        """Say what the run has instead; None where the condition is not true of it."""
        found = _found(self.quantity, self.unit, outcome)
        if found is None:
            return f"{self.text}: {_absent(self.quantity)}"
        if not _OPERATORS[self.comparison](found, self.value):
            return None
        return f"{self.text}: it is {_shown(self.quantity, self.unit, found)}"


class Threshold(msgspec.Struct, frozen=True):
    """All of them."""

    conditions: tuple[Condition, ...]

    def missed_by(self, outcome: Outcome) -> str | None:
        """Say in one line why `outcome` misses it; None where it keeps it."""
        missed = [text for condition in self.conditions if (text := condition.missed_by(outcome)) is not None]
        if not missed and outcome.discarded is not None:
            missed = [f"no verdict, the run is discarded: {outcome.discarded}"]
        return "; ".join(missed) or None


def parse_threshold(text: str) -> Threshold:
    """Read conditions, joined by commas.  Raises ThresholdMalformed."""
    conditions: list[Condition] = []
    position = 0
    while True:
        condition, position = _parse_condition(text, position)
        conditions.append(condition)
        if position == len(text):
            return Threshold(tuple(conditions))
        if text[position] != ",":
            raise _malformed(text, position, "a comma goes between two conditions")
        position += 1


def _parse_condition(text: str, start: int) -> tuple[Condition, int]:
    name = _QUANTITY.match(text, start)
    if name is None or name[1] not in QUANTITIES:
        raise _malformed(text, name.start(1) if name else start, f"write one of {', '.join(QUANTITIES)}")
    comparison = _OPERATOR.match(text, name.end())
    if comparison is None:
        raise _malformed(text, name.end(), f"write >, >=, < or <= behind {name[1]}")
    value = _VALUE.match(text, comparison.end())
    if value is None:
        raise _malformed(text, comparison.end(), f"write a number behind {comparison[1]}")
    unit = _UNIT.match(text, value.end())
    written = unit[1].replace("µ", "u") if unit else ""
    if unit is None or written not in _UNITS[name[1]]:
        raise _malformed(text, unit.start(1) if unit else value.end(), _units_wanted(name[1]))
    amount = float(value[1])
    if name[1] not in {"lost", "cpu", "failed"}:
        amount *= _MILLISECONDS[written]
    whole = text[name.start(1) : unit.end()].strip()
    return Condition(whole, name[1], comparison[1], amount, written), unit.end()


def _units_wanted(quantity: str) -> str:
    match quantity:
        case "lost":
            return "lost is a count, or a share with %"
        case "failed":
            return "failed is a count of calls, without a unit"
        case _:
            return f"{quantity} wants a unit: {', '.join(_UNITS[quantity])}"


def _malformed(text: str, position: int, remedy: str) -> ThresholdMalformed:
    rest = text[position:].strip()
    at = f"at {one_line(rest, max_characters=_SHOWN)!r}" if rest else "at its end"
    return ThresholdMalformed(
        f"threshold {one_line(text, max_characters=_SHOWN)!r}, character {position + 1}, {at}: {remedy}"
    )


def _found(quantity: str, unit: str, outcome: Outcome) -> float | None:
    match quantity:
        case "lost" if unit == "%":
            return 100 * outcome.lost / outcome.offered if outcome.offered else None
        case "lost":
            return outcome.lost
        case "failed":
            return sum(route.calls_failed for route in outcome.routes)
        case "cpu":
            return outcome.cost.proxy_us_per_frame
        case "lateness.p99":
            return _quantile(outcome.lateness, "p99")
        case _:
            return _quantile(outcome.latency, quantity)


def _quantile(found: Quantiles, name: str) -> float | None:
    if not found.count:
        return None
    values = {"p50": found.p50, "p90": found.p90, "p99": found.p99, "p999": found.p999, "max": found.highest}
    value = values[name]
    return None if math.isnan(value) else value


def _absent(quantity: str) -> str:
    match quantity:
        case "cpu":
            return "the proxy's processor time could not be read, so nothing shows that it is kept"
        case "lateness.p99" | "lost":
            return "no frame was offered, so nothing shows that it is kept"
        case _:
            return f"{words.NONE_BACK}, so nothing shows that it is kept"


def _shown(quantity: str, unit: str, found: float) -> str:
    match quantity:
        case "lost" if unit == "%":
            return f"{found:.3g} %"
        case "lost" | "failed":
            return words.count(int(found))
        case "cpu":
            return f"{words.number(found)} µs"
        case _:
            return words.milliseconds(found)
