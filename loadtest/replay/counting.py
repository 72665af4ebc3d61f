"""Counts durations, cheaply while frames come and go, exactly enough afterwards.

While the run goes on a duration is one more in a dictionary, under its microseconds rounded down to three significant
digits: a tenth of what `hdrh` takes for the same, and as small after an hour as after a minute.  A finished
distribution is a histogram of `hdrh`, which makes quantiles and curve of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from hdrh.histogram import HdrHistogram  # pyright: ignore[reportMissingTypeStubs]  it has none

from loadtest.replay.outcome import Quantiles

_EXACT_BITS = 11
"""Up to 2 048 us exactly, beyond it 1 024 steps to each doubling."""
_HIGHEST_US = 3_600_000_000
_DIGITS = 3
_CURVE_TICKS = 5
"""Points of the curve for each halving of what is left to 100 %."""


class _Histogram(Protocol):
    """What is used of `HdrHistogram`, which is untyped."""

    def record_value(self, value: int, count: int = 1) -> bool: ...
    def get_value_at_percentile(self, percentile: float) -> int: ...
    def get_max_value(self) -> int: ...


class Durations:
    """How often each duration was met."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        """By microseconds, rounded."""

    def add(self, seconds: float) -> None:
        """Count one; a negative one, which only a clock's grain can make, is 0."""
        us = int(seconds * 1e6)
        if us >= 1 << _EXACT_BITS:
            shift = us.bit_length() - _EXACT_BITS
            us = us >> shift << shift
        elif us < 0:
            us = 0
        self.counts[us] += 1

    @property
    def total(self) -> int:
        """How many."""
        return sum(self.counts.values())

    def quantiles(self) -> Quantiles:
        """Give the distribution's figures in milliseconds."""
        return quantiles_of(self.counts)

    def curve(self) -> tuple[tuple[float, float], ...]:
        """Give (percentile, milliseconds), rising, denser towards 100 %."""
        if not self.counts:
            return ()
        histogram = _histogram_of(self.counts)
        total = self.total
        return tuple((each, histogram.get_value_at_percentile(each) / 1000) for each in _percentiles(total))


def sum_of(parts: Iterable[Durations]) -> Durations:
    """Give all of them in one."""
    whole = Durations()
    for part in parts:
        for us, count in part.counts.items():
            whole.counts[us] += count
    return whole


def quantiles_of(counts: Mapping[int, int]) -> Quantiles:
    """Give the figures of a distribution of microseconds, in milliseconds."""
    if not counts:
        return Quantiles()
    histogram = _histogram_of(counts)

    def at(percentile: float) -> float:
        return histogram.get_value_at_percentile(percentile) / 1000

    return Quantiles(
        count=sum(counts.values()), p50=at(50), p90=at(90), p99=at(99), p999=at(99.9), highest=max(counts) / 1000
    )


def _histogram_of(counts: Mapping[int, int]) -> _Histogram:
    histogram = cast("_Histogram", HdrHistogram(1, _HIGHEST_US, _DIGITS))
    for us, count in counts.items():
        histogram.record_value(min(us, _HIGHEST_US), count)
    return histogram


def _percentiles(total: int) -> Iterable[float]:
    """Give percentiles in equal steps of the axis log(1 / (1 - p)), down to the one value in `total`, and 100."""
    left, step = 1.0, 0.5 ** (1 / _CURVE_TICKS)
    while left * total >= 1:
        yield 100 * (1 - left)
        left *= step
    yield 100.0
