"""What the hub does in its own time."""

import time

import pytest
import trio

from sottovoce.transport.lines import hub as hubs
from tests.transport.lines.test_hub import PATIENCE_SECONDS, ring, wait_until


@pytest.mark.parametrize("members", [1, 100])
async def test_what_is_to_be_done_later_is_done_in_its_time(members: int) -> None:
    async with ring(members) as steps:
        hub, begun, done = hubs.current_hub(), time.monotonic(), list[float]()
        for seconds in (0.03, 0.01, 0.02, 0.01):
            hub.later(seconds, lambda seconds=seconds: done.append(seconds))
        with trio.fail_after(PATIENCE_SECONDS):
            await wait_until(lambda: len(done) == 4)
        assert done == [0.01, 0.01, 0.02, 0.03]
        assert time.monotonic() - begun >= 0.03
        assert steps[0] > 100
        assert hub.due_at == float("inf")


async def test_what_is_to_be_done_later_wakes_a_hub_that_is_quiet() -> None:
    hub, done = hubs.current_hub(), list[float]()
    hub.later(0.01, lambda: hub.later(0.01, lambda: done.append(time.monotonic())))
    begun = time.monotonic()
    await trio.sleep(0.2)  # Trio wants nothing meanwhile
    assert len(done) == 1
    assert 0.02 <= done[0] - begun < 0.2


async def test_where_the_hub_is_a_task_later_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "stand_in", lambda _: False)
    done: list[int] = []
    hubs.current_hub().later(60, lambda: done.append(1))
    assert done == [1]
    await trio.lowlevel.checkpoint()
