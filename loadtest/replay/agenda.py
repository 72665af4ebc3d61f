"""Which frame is due next, of all calls: one sorted list (a heap) for all of them.  Pure.

A call's frames follow its *rhythm*: one every `period`, for ever or in turns of talking and pausing.  Frame `n` is due
at an instant that is computed from the call's first one and `n`, so that nothing drifts however long a run lasts.

With ticks the frames keep their due instants and are only *written* at the next tick: gathering is part of their
latency, as it would be in a network card that coalesces.
"""

import heapq
import math
from random import Random
from typing import Generic, TypeVar

import msgspec

_Speaker = TypeVar("_Speaker")
_NEVER = float("inf")


class Rhythm(msgspec.Struct, frozen=True):
    """When a call says its frames."""

    period: float
    """Seconds from one to the next, while it talks."""
    talks: int = 0
    """Frames of a turn; 0: it never pauses."""
    pauses: int = 0
    """Frames that are left out between two turns."""

    def due(self, began: float, number: int) -> float:
        """Give when frame `number` is due, of a call whose first one is due at `began`."""
        if not self.talks:
            return began + number * self.period
        turn, place = divmod(number, self.talks)
        return began + (turn * (self.talks + self.pauses) + place) * self.period

    def begins_turn(self, number: int) -> bool:
        """Whether frame `number` is the first after a silence."""
        return bool(self.talks) and not number % self.talks

    def ends_turn(self, number: int) -> bool:
        """Whether frame `number` is the last before one."""
        return bool(self.talks) and number % self.talks == self.talks - 1


class Agenda(Generic[_Speaker]):
    """Who has to say the next frame, and when."""

    __slots__ = ("_entered", "_heap", "due")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, float, int, Rhythm, _Speaker]] = []
        self._entered = 0
        self.due = _NEVER
        """When the next frame is due; never, while nobody speaks."""

    def __len__(self) -> int:
        return len(self._heap)

    def enter(self, speaker: _Speaker, rhythm: Rhythm, began: float) -> None:
        """Have somebody speak from `began` on."""
        heapq.heappush(self._heap, (began, self._entered, began, 0, rhythm, speaker))
        self._entered += 1
        self.due = self._heap[0][0]

    @property
    def speaker(self) -> _Speaker:
        """Whose frame the next one is; there is one."""
        return self._heap[0][5]

    def advance(self) -> None:
        """The next frame has been seen to; its speaker's following one takes its place."""
        _, order, began, number, rhythm, speaker = self._heap[0]
        number += 1
        due = rhythm.due(began, number) if rhythm.talks else began + number * rhythm.period
        heapq.heapreplace(self._heap, (due, order, began, number, rhythm, speaker))
        self.due = self._heap[0][0]

    def leave(self) -> None:
        """The next frame's speaker says nothing more."""
        heapq.heappop(self._heap)
        self.due = self._heap[0][0] if self._heap else _NEVER


def spread_over(period_seconds: float, seed: int, calls: int) -> list[float]:
    """Give where in a frame's time each call stands: at random, as with callers who know nothing of each other."""
    chance = Random(seed)  # noqa: S311  chance for load, not for secrets
    return [chance.random() * period_seconds for _ in range(calls)]


def rounds_in(seconds: float, period_seconds: float) -> int:
    """How many frames a call says in so much time: at least one, whole."""
    return max(1, round(seconds / period_seconds))


def next_tick(now: float, began: float, tick_seconds: float) -> float:
    """Give the first tick that is not before `now`; the ticks' origin is `began`."""
    return began + math.ceil((now - began) / tick_seconds - 1e-9) * tick_seconds
