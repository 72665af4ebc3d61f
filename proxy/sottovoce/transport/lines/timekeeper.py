"""One task that knows when something falls due in any call: a task for each call would be a tenth of its memory.

An alarm rings at a time of its clock.  Who is put off just sets it anew: what was set before rings in vain.
"""

import heapq
from collections.abc import Callable
from itertools import count

import trio

from sottovoce.transport.host import Clock

_NAP_SECONDS = 30.0
"""The longest sleep: while the machine is suspended Trio's clock stands still, the alarms' clock does not."""
_NEVER = float("inf")


class Alarm:
    """One call's.  `ring` is called with the time, once for each `set`; it must not raise."""

    __slots__ = ("_at", "_keeper", "_queued_at", "_ring")

    def __init__(self, clock: Clock, ring: Callable[[float], None]) -> None:
        """Ring never, so far."""
        self._keeper = _keeper_of(clock)
        self._at = self._queued_at = _NEVER
        self._ring: Callable[[float], None] | None = ring

    def set(self, at: float) -> None:
        """Ring then, in the place of whatever was set before."""
        self._at = at
        if at < self._queued_at:
            self._queue(at)

    def drop(self) -> None:
        """Ring never again."""
        self._ring = None

    def look(self, queued_at: float, now: float) -> None:
        """Ring, if it is still set for a time that has come."""
        if self._ring is None or queued_at != self._queued_at:
            return  # an earlier one was queued behind this one
        self._queued_at = _NEVER
        if self._at > now:
            self._queue(self._at)
        else:
            self._ring(now)

    def _queue(self, at: float) -> None:
        self._queued_at = at
        self._keeper.put(at, self)


class _Timekeeper:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._wakes_at = _NEVER
        self._bell = trio.lowlevel.ParkingLot()

    def put(self, at: float, alarm: Alarm) -> None:
        heapq.heappush(self._alarms, (at, next(self._numbers), alarm))
        if at < self._wakes_at:
            self._bell.unpark()

    async def run(self) -> None:
        while True:
            self._wakes_at = self._alarms[0][0] if self._alarms else _NEVER
            seconds = self._wakes_at - self._clock.now()
            with trio.move_on_after(max(min(seconds, _NAP_SECONDS), 0) if self._alarms else _NEVER):
                await self._bell.park()
            now = self._clock.now()
            while self._alarms and self._alarms[0][0] <= now:
                at, _, alarm = heapq.heappop(self._alarms)
                alarm.look(at, now)


_keepers = trio.lowlevel.RunVar[dict[type[Clock], _Timekeeper]]("sottovoce timekeepers")


def _keeper_of(clock: Clock) -> _Timekeeper:
    """Give this run's; clocks of one kind tell the same time."""
    try:
        keepers = _keepers.get()
    except LookupError:
        keepers = dict[type[Clock], _Timekeeper]()
        _keepers.set(keepers)
    keeper = keepers.get(type(clock))
    if keeper is None:
        keeper = keepers[type(clock)] = _Timekeeper(clock)
        trio.lowlevel.spawn_system_task(keeper.run, name="sottovoce timekeeper")
    return keeper
