"""How late the event loop is: what a frame that is just due would wait for the loop to look at it."""

from collections.abc import Iterator
from typing import NoReturn

import trio
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

EVERY_SECONDS = 0.1
WINDOW_SECONDS = 30.0
"""The worst is that of the present and the last window: of half a minute at least, whoever asks and how often."""
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1)


class LoopLag(Collector):
    """Sleeps a little, again and again, and sees how late it wakes."""

    def __init__(self, registry: CollectorRegistry, *, every_seconds: float = EVERY_SECONDS) -> None:
        """Register with `registry`; nothing is measured before `run`."""
        self._every_seconds = every_seconds
        self._seconds = Histogram(
            "sottovoce_loop_lag_seconds",
            "How late the event loop woke a task that slept.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._worst = 0.0
        self._worst_before = 0.0
        registry.register(self)

    async def run(self) -> NoReturn:
        """Measure until cancelled."""
        window_ends = trio.current_time() + WINDOW_SECONDS
        while True:
            due = trio.current_time() + self._every_seconds
            await trio.sleep_until(due)
            now = trio.current_time()
            if now >= window_ends:
                self._worst_before, self._worst = self._worst, 0.0
                window_ends = now + WINDOW_SECONDS
            self.saw(now - due)

    def saw(self, seconds: float) -> None:
        """Take one lateness."""
        late = max(0.0, seconds)
        self._seconds.observe(late)
        self._worst = max(self._worst, late)

    @property
    def worst_seconds(self) -> float:
        """The worst of the last half minute, or a little more."""
        return max(self._worst, self._worst_before)

    def collect(self) -> Iterator[Metric]:
        """Give the worst; called when somebody asks."""
        yield GaugeMetricFamily(
            "sottovoce_loop_lag_max_seconds", "The worst of the last half minute or more.", value=self.worst_seconds
        )
