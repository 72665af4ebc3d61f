"""The agenda: whose frame is due next, of calls with rhythms of their own, that come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.agenda import Agenda, Rhythm, next_tick, rounds_in, spread_over

PERIOD = 0.02


def walked(agenda: Agenda[str], frames: int) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for _ in range(frames):
        found.append((agenda.due, agenda.speaker))
        agenda.advance()
    return found


@given(st.lists(st.tuples(st.sampled_from((0.01, 0.02, 0.04, 0.06)), st.floats(0, 1)), min_size=1, max_size=9))
def test_whatever_their_rhythms_what_is_due_first_comes_first(calls: list[tuple[float, float]]) -> None:
    agenda: Agenda[str] = Agenda()
    for number, (period, began) in enumerate(calls):
        agenda.enter(str(number), Rhythm(period), began)
    found = walked(agenda, 300)
    assert [due for due, _ in found] == sorted(due for due, _ in found)
    for number, (period, began) in enumerate(calls):
        dues = [due for due, whose in found if whose == str(number)]
        assert dues == pytest.approx([began + place * period for place in range(len(dues))], abs=1e-9)


def test_a_long_run_does_not_drift() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.enter("one", Rhythm(PERIOD), 100.0)
    walked(agenda, 200_000)
    assert agenda.due == pytest.approx(4100.0, abs=1e-9)


def test_turns_of_talking_and_silence() -> None:
    rhythm = Rhythm(PERIOD, talks=3, pauses=2)
    agenda: Agenda[str] = Agenda()
    agenda.enter("one", rhythm, 0.0)
    assert [round(due / PERIOD) for due, _ in walked(agenda, 7)] == [0, 1, 2, 5, 6, 7, 10]
    assert [number for number in range(7) if rhythm.begins_turn(number)] == [0, 3, 6]
    assert [number for number in range(7) if rhythm.ends_turn(number)] == [2, 5]
    assert not Rhythm(PERIOD).begins_turn(0)
    assert not Rhythm(PERIOD).ends_turn(0)


def test_one_who_leaves_is_asked_no_more() -> None:
    agenda: Agenda[str] = Agenda()
    assert agenda.due == float("inf")
    agenda.enter("one", Rhythm(PERIOD), 1.0)
    agenda.enter("two", Rhythm(PERIOD), 2.0)
    agenda.leave()
    assert (agenda.speaker, agenda.due, len(agenda)) == ("two", 2.0, 1)
    agenda.leave()
    assert (agenda.due, len(agenda)) == (float("inf"), 0)


def test_the_seed_decides_where_calls_stand_in_a_frames_time() -> None:
    assert spread_over(PERIOD, 1, 9) == spread_over(PERIOD, 1, 9) != spread_over(PERIOD, 2, 9)
    assert all(0 <= offset < PERIOD for offset in spread_over(PERIOD, 1, 900))


@pytest.mark.parametrize(("seconds", "rounds"), [(1.0, 50), (0.001, 1), (2.009, 100), (0.0, 1)])
def test_whole_rounds(seconds: float, rounds: int) -> None:
    assert rounds_in(seconds, PERIOD) == rounds


@pytest.mark.parametrize(("now", "tick"), [(10.0, 10.0), (10.0001, 10.001), (10.001, 10.001), (10.0029, 10.003)])
def test_the_next_tick(now: float, tick: float) -> None:
    assert next_tick(now, 10.0, 0.001) == pytest.approx(tick, abs=1e-9)
