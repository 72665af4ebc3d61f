"""Has a plan's calls come and go: which are there before the first frame, which join, leave, stall, and come again.

All of it is deeds of the engine, each at an instant of the time that counts.  A call that leaves says nothing more for
a while before it hangs up, so that none of its frames is on its way then.
"""

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from loadtest.replay.agenda import spread_over
from loadtest.replay.book import Book
from loadtest.replay.engine import Begin, Engine
from loadtest.replay.plan import Group, Plan
from loadtest.replay.routes import Routes
from loadtest.replay.streams import Endpoint, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

_TEND_SECONDS = 0.05
_LEAVING_SECONDS = 0.5
_CALL_AGAIN_SECONDS = (0.3, 0.9)
"""After which a call that was cut off is made again: not all at once."""
_PATIENCE_SECONDS = 0.02
"""Until it is tried again, when too many calls are coming about."""


class Calling:
    """The calls of one run."""

    def __init__(self, plan: Plan, routes: Routes, engine: Engine, book: Book) -> None:
        self._plan = plan
        self._engine = engine
        self._book = book
        self._groups = plan.all_groups
        self._begins: list[Begin] = [partial(routes.begin, index) for index in range(len(self._groups))]
        self._group_of: dict[Stream, int] = {}
        self._kept: set[Stream] = set()
        self._chance = Random(plan.seed)  # noqa: S311  chance for load, not for secrets
        self._until = float("inf")

    def beginnings(self) -> list[tuple[float, Begin]]:
        """Give the calls that are there before the first frame: after how many seconds each is begun, and how."""
        found = [
            (number / group.per_second, index)
            for index, group in enumerate(self._groups)
            if not group.at_seconds
            for number in range(group.calls)
        ]
        return [(at, self._noted(index)) for at, index in sorted(found)]

    def speak(self, began: float, counts_from: float, until: float) -> None:
        """Have those that are up speak from `began` on, and all others come when they are to."""
        engine, self._until = self._engine, until
        spread: dict[int, list[float]] = {}
        for stream in engine.streams:
            index = self._group_of[stream]
            group = self._groups[index]
            if index not in spread:
                spread[index] = spread_over(1 / group.frames_per_second, self._plan.seed + index, len(engine.streams))
            engine.agenda.enter(stream, stream.rhythm, began + spread[index].pop(0))
            self._goes_on(stream, group, counts_from, self._chance.random() if group.again else 1.0)
        for index, group in enumerate(self._groups):
            if group.at_seconds:
                self._note(f"{group.name} begins", counts_from + group.at_seconds)
                for number in range(group.calls):
                    self._begin_at(counts_from + group.at_seconds + number / group.per_second, index)
        for outage in self._plan.outages:
            self._switch("backend down", counts_from + outage.at_seconds, is_up=False)
            self._switch("backend up", counts_from + outage.until_seconds, is_up=True)
        if any(group.again for group in self._groups):
            engine.later(counts_from, self._tend)

    def _noted(self, index: int) -> Begin:
        """Make a group's sessions, and know afterwards whose they are."""
        begin = self._begins[index]

        def begin_one() -> tuple[Stream, Endpoint]:
            stream, endpoint = begin()
            self._group_of[stream] = index
            return stream, endpoint

        return begin_one

    def _begin_at(self, at: float, index: int) -> None:
        def deed(now: float) -> None:
            if now < self._until and not self._engine.begin(self._noted(index), now, self._came):
                self._engine.later(now + _PATIENCE_SECONDS, deed)

        self._engine.later(at, deed)

    def _came(self, stream: Stream, now: float) -> None:
        """A call that was begun in the course of the run is up, or failed."""
        index = self._group_of[stream]
        group = self._groups[index]
        if stream.is_up:
            period = 1 / group.frames_per_second
            self._engine.agenda.enter(stream, stream.rhythm, now + self._chance.random() * period)
            self._goes_on(stream, group, now, 1.0)
        elif group.again:
            self._begin_at(now + self._chance.uniform(*_CALL_AGAIN_SECONDS), index)

    def _goes_on(self, stream: Stream, group: Group, now: float, share: float) -> None:
        """What a call that is up does beside talking; `share` of its time is left."""
        if group.lasts_seconds:
            self._engine.later(now + group.lasts_seconds * share, partial(self._leave, stream))
        if group.stalls_seconds:
            self._engine.later(now + self._chance.random() * group.reads_seconds, partial(self._stall, stream, group))
        if group.again:
            self._kept.add(stream)

    def _leave(self, stream: Stream, now: float) -> None:
        if not stream.is_over:
            stream.is_silent = True
            self._engine.later(now + _LEAVING_SECONDS, partial(self._hang_up, stream))

    def _hang_up(self, stream: Stream, now: float) -> None:
        stream.hang_up(now)
        if stream in self._kept:
            self._kept.discard(stream)
            self._begin_at(now, self._group_of[stream])

    def _stall(self, stream: Stream, group: Group, now: float) -> None:
        if not stream.is_over:
            stream.hold()
            self._engine.later(now + group.stalls_seconds, partial(self._read_on, stream, group))

    def _read_on(self, stream: Stream, group: Group, now: float) -> None:
        if not stream.is_over:
            stream.read_on()
            self._engine.later(now + group.reads_seconds, partial(self._stall, stream, group))

    def _tend(self, now: float) -> None:
        """See whose call was ended by the other side, and have it made again."""
        for stream in [each for each in self._kept if each.is_over]:
            self._kept.discard(stream)
            stream.is_silent = True
            self._begin_at(now + self._chance.uniform(*_CALL_AGAIN_SECONDS), self._group_of[stream])
        if now < self._until:
            self._engine.later(now + _TEND_SECONDS, self._tend)

    def _switch(self, what: str, at: float, *, is_up: bool) -> None:
        backend = self._plan.backend
        if backend is not None:
            act: Callable[[], None] = backend.up if is_up else backend.down
            self._engine.later(at, lambda _: act())
            self._note(what, at)

    def _note(self, what: str, at: float) -> None:
        self._engine.later(at, lambda now: self._book.happened(what, now))
