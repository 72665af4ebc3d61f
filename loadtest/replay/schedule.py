"""When each frame is due.  Pure.

Every session speaks at the same rate, so their order within one frame's time never changes: what is due next is found
by walking round a ring, without a heap.  Where in a frame's time each session stands is random, as with callers who
know nothing of each other, and repeatable by the seed.

With ticks the frames keep their due instants and are only *written* at the next tick: gathering is part of their
latency, as it would be in a network card that coalesces.
"""

import math
from random import Random


class Schedule:
    """Due instants: frame `k` of session `order[i]` is due at `began + offsets[i] + k * period`."""

    __slots__ = ("_place", "_round", "_round_began", "began", "due", "offsets", "order", "period")

    def __init__(self, sessions: int, period_seconds: float, seed: int, began: float) -> None:
        """`began`: no frame is due before."""
        if sessions < 1:
            raise ValueError("a schedule needs a session")
        spread = Random(seed)  # noqa: S311  chance for load, not for secrets
        drawn = sorted((spread.random() * period_seconds, session) for session in range(sessions))
        self.period = period_seconds
        self.offsets = [offset for offset, _ in drawn]
        self.order = [session for _, session in drawn]
        self.began = began
        self._place = 0
        self._round = 0
        self._round_began = began
        self.due = began + self.offsets[0]
        """When the next frame is due."""

    @property
    def session(self) -> int:
        """Whose frame that is."""
        return self.order[self._place]

    def advance(self) -> None:
        """The next frame has been seen to."""
        self._place += 1
        if self._place == len(self.order):
            self._place = 0
            self._round += 1
            self._round_began = self.began + self._round * self.period  # no sum of many roundings
        self.due = self._round_began + self.offsets[self._place]


def rounds_in(seconds: float, period_seconds: float) -> int:
    """How many frames a session says in so much time: at least one, whole."""
    return max(1, round(seconds / period_seconds))


def next_tick(now: float, began: float, tick_seconds: float) -> float:
    """Give the first tick that is not before `now`; the ticks' origin is `began`."""
    return began + math.ceil((now - began) / tick_seconds - 1e-9) * tick_seconds
