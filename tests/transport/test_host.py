import time

from sottovoce.transport import SystemClock, SystemEntropy


def test_the_clock_that_measures_runs_on_in_suspend() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = SystemClock().now()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_clock_of_the_calendar() -> None:
    before = time.time()
    assert before <= SystemClock().wall() <= time.time()


def test_random_bytes() -> None:
    first, second = SystemEntropy().random(32), SystemEntropy().random(32)
    assert len(first) == len(second) == 32
    assert first != second
    assert SystemEntropy().random(0) == b""
