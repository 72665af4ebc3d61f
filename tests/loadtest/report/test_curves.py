import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report.curves import decades, distribution_points, linear_ticks, nines, nines_ticks, round_up
from tests.loadtest.report.outcomes import outcome, silent


def test_nines() -> None:
    assert [round(nines(percentile), 9) for percentile in (0, 90, 99, 99.9, 100)] == [0, 1, 2, 3, 6]


def test_the_last_frame_stands_where_one_of_all_is() -> None:
    points = distribution_points(outcome())
    assert points[-1] == (pytest.approx(math.log10(5000)), 9.0)
    assert points == sorted(points)
    assert distribution_points(silent()) == []


def test_marks_of_the_axis_of_nines() -> None:
    assert [text for _, text in nines_ticks(4)] == ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]


@given(st.floats(1e-6, 1e6))
def test_linear_marks_cover_the_axis(value: float) -> None:
    top = round_up(value)
    assert value <= top * (1 + 1e-6)
    assert top <= value * 10
    marks = linear_ticks(top)
    assert marks[0] == 0
    assert marks[-1] == pytest.approx(top)
    assert 4 <= len(marks) <= 7


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_decades_hold_both_ends(one: float, other: float) -> None:
    low, high = sorted((one, other))
    marks = decades(low, high)
    assert marks[0] <= low * (1 + 1e-9)
    assert marks[-1] >= high * (1 - 1e-9)
    assert len(marks) >= 2
