"""The asyncio shell, cancelled at every step of its user's task, once and twice: nothing is left, nothing is lost."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from sottovoce.client import Audio
from sottovoce.client.asyncio import connect
from tests.client.conformance.conftest import open_descriptors
from tests.client.conformance.hosts import Host
from tests.client.conformance.scenarios import check_erased
from tests.client.conformance.words import usual

_FRAMES = [bytes([number]) for number in range(3)]


class _CancelAt:
    """Awaits something, and cancels the task just before its steps of these numbers."""

    def __init__(self, work: Coroutine[Any, Any, None], *steps: int) -> None:
        self._work = work
        self._at = steps
        self._step = 0
        self.was_cancelled = False

    def __await__(self) -> Generator[Any, Any, None]:
        said: BaseException | None = None
        while True:
            self._step += 1
            if self._step in self._at:
                task = asyncio.current_task()
                assert task is not None
                self.was_cancelled = task.cancel()
            try:
                waits_for = self._work.send(None) if said is None else self._work.throw(said)
            except StopIteration:
                return
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001  it is passed on
                said = error
            else:
                said = None


async def _whole(url: str, calls: list[Any]) -> None:
    async with connect(url, **usual({})) as call:
        calls.append(call)
        for frame in _FRAMES:
            await call.send(frame)
        await call.dtmf(1)
        await call.json({})
        await call.mute()
        for frame in _FRAMES:
            assert await anext(call) == Audio(frame)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_cancelled_at_every_step(host: Host, run: Callable[..., None], times: int) -> None:
    complaints: list[object] = []

    async def step(number: int) -> bool:
        calls: list[Any] = []
        steps = _CancelAt(_whole(host.url, calls), *range(number, number + times))

        async def task() -> None:
            await steps

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(task())
        for call in calls:
            check_erased(call)
        return not steps.was_cancelled

    async def sweep() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await step(10_000)
        await asyncio.to_thread(host.until_done)
        tasks = asyncio.all_tasks()
        descriptors = open_descriptors()
        number = 1
        while not await step(number):
            await asyncio.to_thread(host.until_done)
            assert open_descriptors() == descriptors, f"a socket was left open at step {number}"
            assert asyncio.all_tasks() == tasks
            number += 1
        assert number > 5

    run(sweep(), debug=True)
    assert complaints == []
    for server in host.servers:
        assert [payload[1:] for payload in server.pure.audio] == _FRAMES[: len(server.pure.audio)]
