"""One task that knows when something falls due in any call."""

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from sottovoce.transport import Alarm
from tests.edge.proxy import TrioClock


async def test_it_rings_once_at_its_time(autojump_clock: MockClock) -> None:
    rung: list[float] = []
    alarm = Alarm(TrioClock(), rung.append)
    began = trio.current_time()
    alarm.set(began + 100)
    await trio.sleep(500)
    assert rung == [began + 100]


async def test_a_dropped_one_never_rings(autojump_clock: MockClock) -> None:
    rung: list[float] = []
    alarm = Alarm(TrioClock(), rung.append)
    alarm.set(trio.current_time() + 1)
    alarm.drop()
    await trio.sleep(100)
    assert rung == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60), st.integers(0, 20)), max_size=30))
def test_the_last_that_was_set_counts_for_each(changes: list[tuple[int, int, int]]) -> None:
    async def run() -> None:
        clock = TrioClock()
        rung: list[list[float]] = [[] for _ in range(4)]
        alarms = [Alarm(clock, each.append) for each in rung]
        wanted: list[float | None] = [None] * 4
        model: list[list[float]] = [[] for _ in range(4)]
        for which, seconds, pause in changes:
            at = int(trio.current_time()) + seconds + 0.5  # never at the instant of a change
            alarms[which].set(at)
            wanted[which] = at
            until = int(trio.current_time()) + pause + 1
            await trio.sleep_until(until)
            for number, due in enumerate(wanted):
                if due is not None and due <= until:
                    model[number].append(due)
                    wanted[number] = None
        await trio.sleep(100)
        for number, due in enumerate(wanted):
            if due is not None:
                model[number].append(due)
        assert rung == model

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_who_sets_it_again_while_it_rings_hears_it_again(autojump_clock: MockClock) -> None:
    rung: list[float] = []

    def ring(now: float) -> None:
        rung.append(now)
        if len(rung) < 3:
            alarm.set(now + 10)

    alarm = Alarm(TrioClock(), ring)
    began = trio.current_time()
    alarm.set(began + 10)
    await trio.sleep(100)
    assert rung == [began + 10, began + 20, began + 30]


async def test_of_thousands_at_one_moment_those_are_silent_that_another_has_dropped_meanwhile(
    autojump_clock: MockClock,
) -> None:
    rung: list[int] = []
    alarms: list[Alarm] = []

    def ring(number: int) -> None:
        rung.append(number)
        alarms[number ^ 1].drop()
        alarms[number].set(trio.current_time() + 5)

    alarms += [Alarm(TrioClock(), lambda _, number=number: ring(number)) for number in range(4_000)]
    for alarm in alarms:
        alarm.set(trio.current_time() + 10)
    await trio.sleep(12)
    assert rung == list(range(0, 4_000, 2))
    for alarm in alarms:
        alarm.drop()
    await trio.sleep(10)
    assert len(rung) == 2_000
