"""The same few words for each shell, so that a scenario is written once: Trio, asyncio, asyncio on uvloop, blocking."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio
import uvloop

import sottovoce.client.asyncio
import sottovoce.client.trio
from sottovoce.client import Item
from tests.client.conformance.blocking import SyncDriver
from tests.client.conformance.words import AnyCall, Driver, Running, Scenario, usual


class TrioDriver:
    name = "trio"
    shell = sottovoce.client.trio
    _nursery: trio.Nursery

    def run(self, scenario: Scenario) -> None:
        async def main() -> None:
            before = trio.lowlevel.current_statistics().tasks_living
            with trio.fail_after(60):
                async with trio.open_nursery() as self._nursery:
                    await scenario()
            await trio.testing.wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().tasks_living == before

        trio.run(main)

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[AnyCall]:
        return self.shell.connect(url, **usual(options))

    def calls(self, url: str, **options: Any) -> Any:
        return self.shell.calls(url, **usual(options))

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def spawn(self, work: Scenario) -> Running:
        running = _TrioTask(work)
        self._nursery.start_soon(running.run)
        return running

    async def blocking(self, work: Callable[[], Any]) -> Any:
        return await trio.to_thread.run_sync(work)

    async def within(self, seconds: float, call: AnyCall) -> Item:
        with trio.move_on_after(seconds):
            return await anext(call)
        raise TimeoutError

    async def cancelled(self, seconds: float, work: Scenario) -> bool:
        with trio.move_on_after(seconds) as scope:
            await work()
        return scope.cancelled_caught


class _TrioTask:
    def __init__(self, work: Scenario) -> None:
        self._work = work
        self._error: Exception | None = None
        self._is_done = trio.Event()

    async def run(self) -> None:
        try:
            await self._work()
        except Exception as error:  # noqa: BLE001  for `result`
            self._error = error
        finally:
            self._is_done.set()

    async def result(self) -> None:
        await self._is_done.wait()
        if self._error is not None:
            raise self._error


class AsyncioDriver:
    name = "asyncio"
    shell = sottovoce.client.asyncio
    _run = staticmethod(asyncio.run)

    def run(self, scenario: Scenario) -> None:
        async def main() -> None:
            complaints: list[Mapping[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(60):
                await scenario()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert complaints == []

        self._run(main(), debug=True)

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[AnyCall]:
        return self.shell.connect(url, **usual(options))

    def calls(self, url: str, **options: Any) -> Any:
        return self.shell.calls(url, **usual(options))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def spawn(self, work: Scenario) -> Running:
        return _AsyncioTask(asyncio.create_task(work()))

    async def blocking(self, work: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(work)

    async def within(self, seconds: float, call: AnyCall) -> Item:
        return await asyncio.wait_for(anext(call), seconds)

    async def cancelled(self, seconds: float, work: Scenario) -> bool:
        task = asyncio.create_task(work())
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        return task.cancelled()


class _AsyncioTask:
    def __init__(self, task: "asyncio.Task[None]") -> None:
        self._task = task

    async def result(self) -> None:
        await self._task


class UvloopDriver(AsyncioDriver):
    name = "uvloop"
    _run = staticmethod(uvloop.run)


DRIVERS: tuple[Driver, ...] = (TrioDriver(), AsyncioDriver(), UvloopDriver(), SyncDriver())
