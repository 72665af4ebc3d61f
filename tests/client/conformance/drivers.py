"""The same few words for each shell, so that a scenario is written once: Trio, asyncio, asyncio on uvloop, blocking.

A scenario is an async function.  Under the blocking shell it never waits, as everything in it blocks: `drive` runs it.
There `spawn` is a thread, and to cancel is Ctrl-C.
"""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Protocol

import trio
import uvloop

import sottovoce.client.asyncio
import sottovoce.client.sync
import sottovoce.client.trio
from sottovoce.client import Audio, Ended, Item, Mark, Statistics
from tests.client.servers import anchors
from tests.session.dialogue import WALL
from tests.transport.certificates import authority

Scenario = Callable[[], Coroutine[Any, Any, None]]


class AnyCall(Protocol):
    """A call, as scenarios see it."""

    _link: Any

    async def send(
        self, frame: bytes, *, talk_spurt: bool = False, end_of_turn: bool = False, timestamp: int | None = None
    ) -> None: ...
    async def send_data(self, data: bytes) -> None: ...
    async def dtmf(self, event: int, duration_ms: int = 160) -> None: ...
    async def json(self, value: Mapping[str, object]) -> None: ...
    async def mute(self, *, muted: bool = True) -> None: ...
    async def mark_played(self, mark: Mark | str) -> None: ...
    async def close(self, code: int = 1000) -> None: ...
    def __aiter__(self) -> AsyncIterator[Item]: ...
    async def __anext__(self) -> Item: ...
    def audio(self) -> AsyncIterator[Audio]: ...
    @property
    def statistics(self) -> Statistics: ...
    @property
    def ended(self) -> Ended | None: ...


class Clock:
    """It has the dates of the tests' certificates, and can be set ahead, as where a computer sleeps."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def wall(self) -> float:
        return WALL + time.monotonic() - self._start


class Running(Protocol):
    """What was spawned."""

    async def result(self) -> None: ...


class Driver(Protocol):
    """One shell."""

    name: str
    shell: Any

    def run(self, scenario: Scenario) -> None:
        """Run a scenario, and see that nothing is left of it but what was there before."""
        ...

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[AnyCall]: ...
    def calls(self, url: str, **options: Any) -> Any:
        """Legs of calls, for `async for`; each for `async with`."""
        ...

    async def sleep(self, seconds: float) -> None: ...
    async def spawn(self, work: Scenario) -> Running: ...
    async def blocking(self, work: Callable[[], Any]) -> Any:
        """Do what blocks beside the event loop."""
        ...

    async def within(self, seconds: float, call: AnyCall) -> Item:
        """Take the next item.  Raises TimeoutError."""
        ...

    async def cancelled(self, seconds: float, work: Scenario) -> bool:
        """Do something and break it off after so long; gives whether that was before its end."""
        ...


def _usual(options: dict[str, Any]) -> dict[str, Any]:
    return {"anchor": anchors(), "ca": authority().pem, "clock": Clock(), **options}


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
        return self.shell.connect(url, **_usual(options))

    def calls(self, url: str, **options: Any) -> Any:
        return self.shell.calls(url, **_usual(options))

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
        return self.shell.connect(url, **_usual(options))

    def calls(self, url: str, **options: Any) -> Any:
        return self.shell.calls(url, **_usual(options))

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


def drive(work: Awaitable[None]) -> None:
    """Run what never waits."""
    try:
        work.__await__().__next__()
    except StopIteration:
        return
    raise AssertionError("it waited")


class SyncDriver:
    name = "sync"
    shell = sottovoce.client.sync

    def run(self, scenario: Scenario) -> None:
        drive(scenario())
        assert [thread for thread in threading.enumerate() if thread.name.startswith("sottovoce")] == []

    @asynccontextmanager
    async def connect(self, url: str, **options: Any) -> AsyncIterator[AnyCall]:
        with self.shell.connect(url, **_usual(options)) as call:
            yield _BlockingCall(call)

    def calls(self, url: str, **options: Any) -> Any:
        return _BlockingCalls(self.shell.calls(url, **_usual(options)))

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  it is to block

    async def spawn(self, work: Scenario) -> Running:
        return _Thread(work)

    async def blocking(self, work: Callable[[], Any]) -> Any:
        return work()

    async def within(self, seconds: float, call: AnyCall) -> Item:
        assert isinstance(call, _BlockingCall)
        return call.blocking.receive(timeout=seconds)

    async def cancelled(self, seconds: float, work: Scenario) -> bool:
        is_done = False
        with _ctrl_c(seconds) as key:
            try:
                key.is_armed = True
                await work()
                is_done = True
                key.is_armed = False
            except KeyboardInterrupt:
                key.is_armed = False
        return not is_done


class _Key:
    is_armed = False

    def strike(self, *_: object) -> None:
        if self.is_armed:
            self.is_armed = False
            raise KeyboardInterrupt


@contextmanager
def _ctrl_c(seconds: float) -> Iterator[_Key]:
    """Have Ctrl-C pressed after so long, if it is not over by then."""
    key = _Key()
    before = signal.signal(signal.SIGINT, key.strike)
    timer = threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    timer.start()
    try:
        yield key
    finally:
        key.is_armed = False
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGINT, before)


class _Thread:
    def __init__(self, work: Scenario) -> None:
        self._work = work
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            drive(self._work())
        except Exception as error:  # noqa: BLE001  for `result`
            self._error = error

    async def result(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


class _BlockingCall:
    """The blocking call under the names of the others."""

    def __init__(self, call: sottovoce.client.sync.Call) -> None:
        self.blocking = call
        self._link = call._link._carrier

    async def send(
        self, frame: bytes, *, talk_spurt: bool = False, end_of_turn: bool = False, timestamp: int | None = None
    ) -> None:
        self.blocking.send(frame, talk_spurt=talk_spurt, end_of_turn=end_of_turn, timestamp=timestamp)

    async def send_data(self, data: bytes) -> None:
        self.blocking.send_data(data)

    async def dtmf(self, event: int, duration_ms: int = 160) -> None:
        self.blocking.dtmf(event, duration_ms)

    async def json(self, value: Mapping[str, object]) -> None:
        self.blocking.json(value)

    async def mute(self, *, muted: bool = True) -> None:
        self.blocking.mute(muted=muted)

    async def mark_played(self, mark: Mark | str) -> None:
        self.blocking.mark_played(mark)

    async def close(self, code: int = 1000) -> None:
        self.blocking.close(code)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        return _next(iter(self.blocking))

    async def audio(self) -> AsyncIterator[Audio]:
        for item in self.blocking.audio():
            yield item

    @property
    def statistics(self) -> Statistics:
        return self.blocking.statistics

    @property
    def ended(self) -> Ended | None:
        return self.blocking.ended


class _BlockingCalls:
    def __init__(self, calls: sottovoce.client.sync.Calls) -> None:
        self._calls = calls
        self._conversation = calls._conversation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calls, name)

    def __aiter__(self) -> "_BlockingCalls":
        return self

    async def __anext__(self) -> "_BlockingLeg":
        return _BlockingLeg(_next(self._calls))


class _BlockingLeg:
    def __init__(self, leg: sottovoce.client.sync.Leg) -> None:
        self._leg = leg
        self.reason = leg.reason

    async def __aenter__(self) -> AnyCall:
        return _BlockingCall(self._leg.__enter__())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return self._leg.__exit__(kind, error, traceback)


def _next(items: Iterator[Any]) -> Any:
    for item in items:
        return item
    raise StopAsyncIteration


DRIVERS: tuple[Driver, ...] = (TrioDriver(), AsyncioDriver(), UvloopDriver(), SyncDriver())
