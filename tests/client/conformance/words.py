"""The words that scenarios are written in: what a driver does and a call has, whatever the shell."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sottovoce.client import Audio, Ended, Item, Mark, Statistics
from tests.client.servers import anchors
from tests.session.keys import WALL
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


def usual(options: dict[str, Any]) -> dict[str, Any]:
    return {"anchor": anchors(), "ca": authority().pem, "clock": Clock(), **options}
