"""The schedule: every session once in a frame's time, at an instant of its own, for as long as one likes."""

import pytest

from loadtest.replay.schedule import Schedule, next_tick, rounds_in

PERIOD = 0.02


def walked(schedule: Schedule, frames: int) -> list[tuple[float, int]]:
    found = []
    for _ in range(frames):
        found.append((schedule.due, schedule.session))
        schedule.advance()
    return found


def test_each_session_speaks_once_in_a_frames_time_and_always_at_the_same_place() -> None:
    found = walked(Schedule(7, PERIOD, 3, 100.0), 7 * 50)
    assert [due for due, _ in found] == sorted(due for due, _ in found)
    for session in range(7):
        dues = [due for due, whose in found if whose == session]
        assert dues == pytest.approx([dues[0] + number * PERIOD for number in range(50)], abs=1e-9)


def test_a_round_lies_between_its_beginning_and_the_next_ones() -> None:
    for number, (due, _) in enumerate(walked(Schedule(5, PERIOD, 9, 10.0), 5 * 1000)):
        assert 0 <= due - (10.0 + number // 5 * PERIOD) < PERIOD


def test_a_long_run_does_not_drift() -> None:
    schedule = Schedule(1, PERIOD, 1, 0.0)
    first = schedule.due
    walked(schedule, 200_000)
    assert schedule.due == pytest.approx(first + 4000.0, abs=1e-9)


def test_the_seed_decides() -> None:
    assert Schedule(9, PERIOD, 1, 0.0).offsets == Schedule(9, PERIOD, 1, 0.0).offsets
    assert Schedule(9, PERIOD, 1, 0.0).offsets != Schedule(9, PERIOD, 2, 0.0).offsets


def test_there_is_no_schedule_of_nobody() -> None:
    with pytest.raises(ValueError, match="a session"):
        Schedule(0, PERIOD, 1, 0.0)


@pytest.mark.parametrize(("seconds", "rounds"), [(1.0, 50), (0.001, 1), (2.009, 100), (0.0, 1)])
def test_whole_rounds(seconds: float, rounds: int) -> None:
    assert rounds_in(seconds, PERIOD) == rounds


@pytest.mark.parametrize(("now", "tick"), [(10.0, 10.0), (10.0001, 10.001), (10.001, 10.001), (10.0029, 10.003)])
def test_the_next_tick(now: float, tick: float) -> None:
    assert next_tick(now, 10.0, 0.001) == pytest.approx(tick, abs=1e-9)
