"""Signals that come while an upgrade is tried."""

import signal
from typing import Any, cast

import trio
from trio.testing import MockClock

from sottovoce.app.serving.announcing import Manager
from sottovoce.app.serving.lifetime import _until_told_to_stop


class Slow:
    """An upgrade whose check takes a minute, and finds something; a Reloader that is only asked."""

    def __init__(self) -> None:
        self.begun = self.ended = self.asked = 0

    async def begin(self) -> None:
        self.begun += 1
        await trio.sleep(60)
        self.ended += 1

    def ask(self) -> None:
        self.asked += 1


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
    assert (slow.begun, slow.ended, slow.asked) == (1, 1, 2)
