"""A watch on an event loop: by how much a task is late that wants to run every 2 ms, which is what a call would feel.

Beside it stands for how long the loop's thread meanwhile waited for a processor that others had (Linux counts that):
the machine's doing and not the loop's.  Each moment is on the machine's monotonic clock, so that another process can
pick its own stretch.
"""

import os
import threading
import time
from array import array
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import trio

PERIOD_SECONDS = 0.002


class Watched(msgspec.Struct, frozen=True):
    """What was seen: the moments, and in seconds by how much the task was late and what of it was spent in a queue."""

    at: list[float]
    late: list[float]
    queued: list[float]


class Watch:
    """Sits in the loop and writes down."""

    def __init__(self, counters: BinaryIO) -> None:
        """`counters` is the schedstat of the loop's thread."""
        self._counters = counters
        self._at, self._late, self._queued = array("d"), array("d"), array("d")

    async def run(self) -> None:
        """Want to run every PERIOD_SECONDS."""
        due, queued = trio.current_time(), self._queued_seconds()
        while True:
            due += PERIOD_SECONDS
            await trio.sleep_until(due)
            now, before = trio.current_time(), queued
            queued = self._queued_seconds()
            self._at.append(time.monotonic())
            self._late.append(now - due)
            self._queued.append(queued - before)
            due = max(due, now - PERIOD_SECONDS)

    @property
    def seen(self) -> Watched:
        """Everything so far."""
        return Watched(list(self._at), list(self._late), list(self._queued))

    def _queued_seconds(self) -> float:
        """For how long this thread has been ready to run and did not, since it began."""
        return int(os.pread(self._counters.fileno(), 128, 0).split()[1]) / 1e9


@contextmanager
def watching() -> Generator[Watch]:
    """Give a watch on the loop of the thread that calls this."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    with path.open("rb", buffering=0) as counters:
        yield Watch(cast("BinaryIO", counters))
