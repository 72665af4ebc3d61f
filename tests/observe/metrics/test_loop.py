import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import MockClock

from sottovoce.observe.metrics import LoopLag
from sottovoce.observe.metrics.loop import WINDOW_SECONDS


def worst(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("sottovoce_loop_lag_max_seconds")


async def test_a_loop_that_is_held_up_is_seen_to_be_late(mock_clock: MockClock) -> None:
    registry = CollectorRegistry()
    lag = LoopLag(registry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.1 + 0.03)  # somebody else had the loop for 30 ms
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert worst(registry) == pytest.approx(0.03)
    assert registry.get_sample_value("sottovoce_loop_lag_seconds_count") == 1


async def test_ten_times_a_second(autojump_clock: MockClock) -> None:
    registry = CollectorRegistry()
    lag = LoopLag(registry)
    with trio.move_on_after(10.05):
        await lag.run()
    assert registry.get_sample_value("sottovoce_loop_lag_seconds_count") == 100
    assert worst(registry) == pytest.approx(0)


async def test_the_worst_is_forgotten_after_two_windows_and_not_before_one(autojump_clock: MockClock) -> None:
    registry = CollectorRegistry()
    lag = LoopLag(registry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        await trio.sleep(1)
        lag.saw(0.5)
        await trio.sleep(WINDOW_SECONDS)
        assert worst(registry) == 0.5
        await trio.sleep(WINDOW_SECONDS)
        assert worst(registry) == pytest.approx(0)
        nursery.cancel_scope.cancel()


def test_a_clock_that_wakes_early_makes_nothing_negative() -> None:
    lag = LoopLag(CollectorRegistry())
    lag.saw(-0.001)
    assert lag.worst_seconds == 0
