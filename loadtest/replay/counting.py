"""Counts durations, cheaply while frames come and go, exactly enough afterwards.

A duration is one more in a dictionary, under its microseconds rounded down to three significant digits: as exact as an
HDR histogram, and as small after an hour as after a minute.  `hdrh`, the library, is pure Python and takes 1.5 us to
count one and 10 ms for a quantile, in which the run would stand still; a test holds our figures against its.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from loadtest.replay.outcome import Quantiles

_EXACT_BITS = 11
"""Up to 2 048 us exactly, beyond it 1 024 steps to each doubling."""
_EXACT = 1 << _EXACT_BITS
_CURVE_POINTS = 5
"""For each halving of what is left to 100 %."""


def rounded_us(seconds: float) -> int:
    """Give a duration in microseconds as it is counted; a negative one, which only a clock's grain can make, is 0."""
    us = int(seconds * 1e6)
    if us < _EXACT:
        return max(us, 0)
    shift = us.bit_length() - _EXACT_BITS
    return us >> shift << shift


class Durations:
    """How often each duration was met."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        """By microseconds, rounded."""

    def add(self, seconds: float, times: int = 1) -> None:
        """Count one, or as many of the same."""
        self.counts[rounded_us(seconds)] += times

    @property
    def total(self) -> int:
        """How many."""
        return sum(self.counts.values())

    def quantiles(self) -> Quantiles:
        """Give the distribution's figures in milliseconds."""
        total = self.total
        p50, p90, p99, p999, highest = _at(self.counts, total, (50, 90, 99, 99.9, 100))
        return Quantiles(count=total, p50=p50, p90=p90, p99=p99, p999=p999, highest=highest)

    def curve(self) -> tuple[tuple[float, float], ...]:
        """Give (percentile, milliseconds), rising, denser towards 100 %."""
        if not (total := self.total):
            return ()
        percentiles = [*_percentiles(total), 100.0]
        return tuple(zip(percentiles, _at(self.counts, total, percentiles), strict=True))


def sum_of(parts: Iterable[Durations]) -> Durations:
    """Give all of them in one."""
    whole = Durations()
    for part in parts:
        for us, count in part.counts.items():
            whole.counts[us] += count
    return whole


def _at(counts: Mapping[int, int], total: int, percentiles: Iterable[float]) -> list[float]:
    """Give the least duration that so many percent keep within, for each of rising percentiles, in milliseconds."""
    ordered = iter(sorted(counts.items()))
    us, reached = 0, 0
    found: list[float] = []
    for percentile in percentiles:
        wanted = math.ceil(round(total * percentile / 100, 6))
        while reached < wanted:
            us, count = next(ordered)
            reached += count
        found.append(us / 1000)
    return found


def _percentiles(total: int) -> Iterable[float]:
    """Give percentiles in equal steps of the axis log(1 / (1 - p)), down to the one value in `total`."""
    left, step = 1.0, 0.5 ** (1 / _CURVE_POINTS)
    while left * total >= 1:
        yield 100 * (1 - left)
        left *= step
