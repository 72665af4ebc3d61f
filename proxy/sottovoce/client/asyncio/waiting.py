"""How an asyncio shell waits: for news of its call, and for the next deadline."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress


class News:
    """Wakes whoever waits when something may have changed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self, seconds: float = math.inf) -> None:
        """Wait for the next news, for so many seconds at most."""
        news = self._loop.create_future()
        self._waiting.append(news)
        timer = None if seconds == math.inf else self._loop.call_later(seconds, _wake, news)
        try:
            await news
        finally:
            if timer is not None:
                timer.cancel()
            with suppress(ValueError):  # unless it was told
                self._waiting.remove(news)

    def tell(self) -> None:
        """Wake all that wait now."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for news in waiting:
                _wake(news)


class Alarm:
    """One timer of a call.  Set for later it fires at the earlier time all the same: to look costs less than to set."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._then = then
        self._timer: asyncio.Handle | None = None  # uvloop's tell no time: what is due at once has none there
        self._when = 0.0

    def set(self, seconds: float) -> None:
        """Have it fire in so many seconds, or before."""
        when = self._loop.time() + seconds
        if self._timer is not None:
            if self._when <= when:
                return
            self._timer.cancel()
        self._when = when
        self._timer = self._loop.call_at(when, self._fire)

    def cancel(self) -> None:
        """Have it not fire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._then()


def _wake(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)
