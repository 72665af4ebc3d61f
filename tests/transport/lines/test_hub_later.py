"""What the hub does in its own time."""

import time
from types import SimpleNamespace
from typing import Any, cast

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
        assert steps[0] > 0
        assert hub.due_at == float("inf")


async def test_what_is_to_be_done_later_wakes_a_hub_that_is_quiet() -> None:
    hub, begun = hubs.current_hub(), time.monotonic()
    with trio.move_on_after(PATIENCE_SECONDS) as scope:
        hub.later(0.01, lambda: hub.later(0.01, scope.cancel))
        await trio.sleep_forever()  # Trio wants nothing meanwhile
    assert 0.02 <= time.monotonic() - begun < PATIENCE_SECONDS


async def test_what_comes_close_together_is_handled_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ring(1, rounds=200) as steps:
        waits: list[float] = []
        monkeypatch.setattr(hubs.time, "sleep", waits.append)
        with trio.fail_after(PATIENCE_SECONDS):
            while steps[0] < 200:  # noqa: ASYNC110  no task is told
                await trio.sleep(0.02)
        assert set(waits) == {hubs._GATHER_SECONDS}
        assert len(waits) < 200  # the first of a quiet time waits for nobody


async def test_a_turn_of_many_waits_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(hubs.time, "sleep", waits.append)
    stands = hubs.StandIn(cast("Any", SimpleNamespace(fileno=lambda: 0)), cast("Any", _Deaf()), [])
    for events, now in ((1, 100.0), (64, 100.0001), (0, 100.0002), (hubs._FEW, 100.0003), (1, 200.0)):
        stands._gather(events, now)
    assert waits == []
    stands._gather(1, stands._turned_at + 0.0001)
    assert waits == [hubs._GATHER_SECONDS]


class _Deaf:
    """A hub of which nothing is wanted."""

    epoll = SimpleNamespace(register=lambda *_: None)


async def test_where_the_hub_is_a_task_later_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "stand_in", lambda _: False)
    done: list[int] = []
    hubs.current_hub().later(60, lambda: done.append(1))
    assert done == [1]
    await trio.lowlevel.checkpoint()
