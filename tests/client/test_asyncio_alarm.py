"""The timer of a call on asyncio, on every loop it runs on."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from sottovoce.client.asyncio.waiting import Alarm


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0001, 0.01], ids=["now", "overdue", "at-once", "soon"])
@pytest.mark.parametrize("again", [60.0, 0.0, -2.0], ids=["later", "now", "earlier"])
def test_it_fires_once_at_the_earliest_time(run: Callable[..., None], seconds: float, again: float) -> None:
    async def whole() -> None:
        fired, times = asyncio.Event(), list[int]()

        def fire() -> None:
            times.append(1)
            fired.set()

        alarm = Alarm(fire)
        alarm.set(seconds)
        alarm.set(again)
        await asyncio.wait_for(fired.wait(), 20)
        await asyncio.sleep(0.02)
        alarm.cancel()
        assert times == [1]

    run(whole())
