"""The driver of the blocking shell: scenarios never wait in it, `spawn` is a thread, and to cancel is Ctrl-C."""

import gc
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any

import sottovoce.client.sync
from sottovoce.client import Audio, Ended, Item, Mark, Statistics
from tests.client.conformance.words import AnyCall, Running, Scenario, usual


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
        with self.shell.connect(url, **usual(options)) as call:
            yield _BlockingCall(call)

    def calls(self, url: str, **options: Any) -> Any:
        return _BlockingCalls(self.shell.calls(url, **usual(options)))

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
        gc.disable()  # a finalizer of another test's is not to be struck
        with _ctrl_c(seconds) as key:
            try:
                key.is_armed = True
                await work()
                is_done = True
                key.is_armed = False
            except KeyboardInterrupt:
                key.is_armed = False
        gc.enable()
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
