"""`sottovoce serve` with a watch on its event loop, `python -m loadtest.bench.lag.watched_proxy DIR OUT`.

A task that wants to run every 2 ms writes down by how much it is late: what a call would feel.  Beside it stands for
how long the loop's thread meanwhile waited for a processor that others had (Linux counts that): the machine's doing and
not the loop's.  Each moment is on the machine's monotonic clock, so that another process can pick its own stretch.

It ends with SIGTERM, as `serve` does, and then writes OUT.
"""

import os
import sys
import threading
import time
from array import array
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import trio

from loadtest.bench.lag.slow_token import COMMAND
from sottovoce.app.serving import parts
from sottovoce.app.serving import serve as serve_proxy
from sottovoce.settings import find_file, load

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


async def serve(directory: Path, watch: Watch) -> None:
    """Serve `directory` until SIGTERM."""
    file = find_file(directory)
    configuration = load(file, ["log.format=json"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await serve_proxy(configuration, file)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Serve, then write."""
    directory, out = map(Path, sys.argv[1:])
    setattr(parts, "COMMAND", COMMAND)  # noqa: B010  there is no other place to hand in one's own token process
    with Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").open("rb", buffering=0) as counters:
        watch = Watch(cast("BinaryIO", counters))
        trio.run(serve, directory, watch)
    out.write_bytes(msgspec.json.encode(watch.seen))


if __name__ == "__main__":
    main()
