"""Durations: three digits, the quantiles of a known implementation, a curve that rises."""

from random import Random

import pytest
from hdrh.histogram import HdrHistogram

from loadtest.replay.counting import Durations, sum_of
from loadtest.replay.outcome import Quantiles


def counted(*milliseconds: float) -> Durations:
    durations = Durations()
    for each in milliseconds:
        durations.add(each / 1000)
    return durations


def test_nothing_counted_is_all_zero() -> None:
    assert Durations().quantiles() == Quantiles()
    assert Durations().curve() == ()


def test_one_duration_is_every_quantile() -> None:
    assert counted(1.5).quantiles() == Quantiles(count=1, p50=1.5, p90=1.5, p99=1.5, p999=1.5, highest=1.5)


def test_a_duration_before_its_beginning_is_none() -> None:
    assert counted(-0.2).quantiles().highest == 0


@pytest.mark.parametrize("us", [0, 1, 2047, 2048, 2049, 99_999, 1_234_567, 3_600_000_000])
def test_three_digits_are_kept(us: int) -> None:
    found = counted(us / 1000).quantiles().highest * 1000
    assert us * 0.999 - 1 <= round(found, 3) <= us


def test_the_figures_are_those_of_an_hdr_histogram() -> None:
    chance = Random(5)  # noqa: S311  chance for a test
    ours, theirs = Durations(), HdrHistogram(1, 60_000_000, 3)
    for _ in range(20_000):
        us = 1 + int(chance.lognormvariate(7, 1.2))
        ours.add((us + 0.5) / 1e6)
        theirs.record_value(us)
    found = ours.quantiles()
    for percentile, value in ((50, found.p50), (90, found.p90), (99, found.p99), (99.9, found.p999)):
        assert value == pytest.approx(theirs.get_value_at_percentile(percentile) / 1000, rel=0.002)
    assert found.count == theirs.get_total_count()


def test_the_curve_rises_to_the_highest_in_both_directions() -> None:
    durations = counted(*(each / 10 for each in range(1, 1001)))
    curve = durations.curve()
    assert curve == tuple(sorted(curve))
    assert curve[0] == (0.0, 0.0)
    assert curve[-1] == (100.0, durations.quantiles().highest)
    assert [percentile for percentile, _ in curve][-2] >= 99.8


def test_sums_count_everything() -> None:
    assert sum_of([counted(1, 2), counted(2, 3), Durations()]).quantiles().count == 4
