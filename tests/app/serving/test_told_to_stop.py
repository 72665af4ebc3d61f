"""Signals that come while an upgrade is tried."""

import signal
from typing import Any, cast

import structlog
import trio
from trio.testing import MockClock

from sottovoce.app.serving.announcing import Manager
from sottovoce.app.serving.lifetime import _heed, _noted_signals, _until_told_to_stop
from sottovoce.app.workers.handover import BLOCKED
from sottovoce.observe import get_logger


class Slow:
    """An upgrade whose check takes a minute, and finds something; a Reloader that is only asked."""

    def __init__(self) -> None:
        self.begun = self.ended = self.asked = self.passed_over = 0

    async def begin(self) -> None:
        self.begun += 1
        await trio.sleep(60)
        self.ended += 1

    def pass_over(self) -> None:
        self.passed_over += 1

    def ask(self) -> None:
        self.asked += 1


def test_told_to_stop_while_it_takes_over_it_begins_and_stops_and_told_again_it_does_at_once() -> None:
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        with _noted_signals(BLOCKED) as noted:
            assert set(noted) == {signal.SIGHUP, signal.SIGTERM}
            assert not ended
            signal.raise_signal(signal.SIGHUP)
            assert not ended
            signal.raise_signal(signal.SIGTERM)
            assert ended == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert len(ended) == 2
    finally:
        signal.signal(signal.SIGTERM, before)


async def told(slow: Slow, *said: tuple[float, int]) -> float:
    """Say signals, each after so many seconds; gives the seconds until they were heeded."""
    speaker, signals = trio.open_memory_channel[int](len(said))
    began = trio.current_time()
    async with trio.open_nursery() as nursery, speaker:

        async def say() -> None:
            for seconds, number in said:
                await trio.sleep(seconds)
                await speaker.send(number)

        nursery.start_soon(say)
        some = cast("Any", slow)
        assert await _until_told_to_stop(signals, some, some, Manager({})) is None
    return trio.current_time() - began


async def test_told_to_stop_in_an_upgrade_it_does_at_once(autojump_clock: MockClock) -> None:
    slow = Slow()
    assert await told(slow, (0, signal.SIGUSR2), (3, signal.SIGTERM)) == 3
    assert (slow.begun, slow.ended) == (1, 0)


async def test_an_upgrade_goes_on_when_it_is_asked_for_again_or_for_a_reload(autojump_clock: MockClock) -> None:
    slow = Slow()
    said = [(0, signal.SIGUSR2), (1, signal.SIGUSR2), (1, signal.SIGHUP), (70, signal.SIGHUP), (8, signal.SIGINT)]
    assert await told(slow, *said) == 80
    assert (slow.begun, slow.ended, slow.asked, slow.passed_over) == (1, 1, 2, 1)


def test_asked_for_while_it_only_just_starts_that_is_said() -> None:
    with structlog.testing.capture_logs() as said:
        _heed([signal.SIGUSR2, signal.SIGUSR2], get_logger("tests"))
    assert [each["event"] for each in said] == ["replacement.refused"]
    assert said[0]["reason"] == "the proxy is only just starting: ask again when proxy.ready is logged"
