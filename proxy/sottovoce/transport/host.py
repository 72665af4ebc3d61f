"""The machine's clocks and randomness, behind the small protocols that pure code is given.

`app` makes one of each and hands it down; tests hand in their own.
"""

import os
import time
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Two readings of time that are never mixed: one to measure with, one to compare with dates."""

    def now(self) -> float:
        """Give monotonic seconds from an arbitrary start that run on while the machine is suspended."""
        ...

    def wall(self) -> float:
        """Give Unix seconds, as the calendar has it: for certificates, never for durations."""
        ...


class SystemClock:
    """The machine's clocks.

    `now` is CLOCK_BOOTTIME and not CLOCK_MONOTONIC, which stands still in suspend: an epoch's age must not
    (docs/protocol.md §7).
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        """Give nothing yet."""
        self.now = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        """Seconds since the machine started, suspension included.  Asked for each frame: it is no Python function."""

    def wall(self) -> float:
        """Give Unix seconds."""
        return time.time()


class SystemEntropy:
    """The operating system's generator."""

    __slots__ = ()

    def random(self, length_bytes: int) -> bytes:
        """Give `length_bytes` fresh random bytes."""
        return os.urandom(length_bytes)
