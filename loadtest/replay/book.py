"""What becomes of each frame, written down: for each route or group, for each second, for each phase, for the whole.

A frame belongs to the second, and to the phase, in which it was *due*, however much later it comes back.  Frames that
were due before `began`, those of the warm-up, leave no trace.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from loadtest.replay.counting import Durations, rounded_us, sum_of
from loadtest.replay.outcome import GroupLatency, Happening, PhaseOutcome, Quantiles, RouteOutcome, Second

_SETTLED_AFTER_SECONDS = 10
"""So long after its end a second's distribution is made into figures, so that an hour's run stays small."""


class Phase(msgspec.Struct, frozen=True):
    """A stretch of the run, from a whole second on to the next phase."""

    name: str
    at: int


_WHOLE = (Phase("", 0),)


class RouteBook:
    """The figures of one target, or of one group at one target."""

    __slots__ = (
        "by_phase",
        "calls_ended",
        "calls_failed",
        "clears",
        "group",
        "index",
        "offered",
        "reasons",
        "sessions",
        "url",
        "wrong",
    )

    def __init__(self, url: str, group: str, index: int, phases: int) -> None:
        self.url = url
        self.group = group
        self.index = index
        self.sessions = 0
        self.offered = 0
        self.wrong = 0
        self.calls_failed = 0
        self.calls_ended = 0
        self.reasons: Counter[str] = Counter()
        self.by_phase = [Durations() for _ in range(phases)]
        self.clears = Durations()

    @property
    def carried(self) -> int:
        """Frames that came back."""
        return sum(each.total for each in self.by_phase)

    def latency(self) -> Durations:
        """Give the latencies of all phases."""
        return sum_of(self.by_phase)

    def outcome(self, by_second: tuple[tuple[int, float], ...] = ()) -> RouteOutcome:
        """Give the route's part of the outcome."""
        carried = self.carried
        return RouteOutcome(
            url=self.url,
            group=self.group,
            sessions=self.sessions,
            offered=self.offered,
            carried=carried,
            lost=self.offered - carried,
            wrong=self.wrong,
            calls_failed=self.calls_failed,
            calls_ended=self.calls_ended,
            reasons=dict(self.reasons),
            latency=self.latency().quantiles(),
            clears=self.clears.quantiles(),
            by_second=by_second,
        )


class _SecondBook:
    __slots__ = ("carried_late", "latency", "lateness", "offered", "phase", "settled")

    def __init__(self, routes: int, phase: int) -> None:
        self.offered = 0
        self.phase = phase
        self.latency = [Durations() for _ in range(routes)]
        self.lateness = Durations()
        self.settled: tuple[Quantiles, Quantiles, tuple[Quantiles, ...]] | None = None
        self.carried_late = 0
        """Came back after the second was settled."""

    def figures(self) -> tuple[Quantiles, Quantiles, tuple[Quantiles, ...]]:
        return self.settled or (
            sum_of(self.latency).quantiles(),
            self.lateness.quantiles(),
            tuple(each.quantiles() for each in self.latency),
        )

    def settle(self) -> None:
        self.settled = self.figures()
        self.latency, self.lateness = [], Durations()

    def outcome(self, at: int) -> Second:
        latency, lateness, _ = self.figures()
        return Second(
            at=at,
            offered=self.offered,
            carried=latency.count + self.carried_late,
            latency=latency,
            lateness=lateness,
        )


class Book:
    """The whole run's figures."""

    def __init__(self, routes: Sequence[tuple[str, str]], phases: Sequence[Phase] = ()) -> None:
        """`routes`: URL and group, of each that is counted apart."""
        self.phases = tuple(phases) or _WHOLE
        self.routes = [RouteBook(url, group, index, len(self.phases)) for index, (url, group) in enumerate(routes)]
        self.lateness = Durations()
        self.reading = Durations()
        self.handshakes = Durations()
        self.began = float("inf")
        """From when on frames count."""
        self.happenings: list[Happening] = []
        self._seconds: list[_SecondBook] = []
        self._settled = 0

    @property
    def offered(self) -> int:
        """Frames that were due."""
        return sum(route.offered for route in self.routes)

    @property
    def carried(self) -> int:
        """Frames that came back."""
        return sum(route.carried for route in self.routes)

    def was_offered(self, route: RouteBook, due: float, written: float | None) -> None:
        """A frame was due; `written` is when it was given to its socket, None if there was nobody to write it for."""
        at = due - self.began
        if at < 0:
            return
        route.offered += 1
        second = self._second(int(at))
        second.offered += 1
        if written is not None:
            us = rounded_us(written - due)
            second.lateness.counts[us] += 1
            self.lateness.counts[us] += 1

    def came_back(self, route: RouteBook, due: float, now: float) -> None:
        """The frame that was due then has come back, whole."""
        at = due - self.began
        if at < 0:
            return
        second = self._second(int(at))
        us = rounded_us(now - due)
        route.by_phase[second.phase].counts[us] += 1
        if second.settled is None:
            second.latency[route.index].counts[us] += 1
        else:
            second.carried_late += 1

    def were_read(self, sockets: int, waited_seconds: float, now: float) -> None:
        """So many sockets were read, and what was in them had waited for that, no longer than so."""
        if now >= self.began:
            self.reading.add(waited_seconds, sockets)

    def was_wrong(self, route: RouteBook, now: float) -> None:
        """Something came that was no frame waited for."""
        if now >= self.began:
            route.wrong += 1

    def was_cleared(self, route: RouteBook, due: float, now: float) -> None:
        """What was being said to the caller was dropped, as he had begun to speak at `due`."""
        if due >= self.began:
            route.clears.add(now - due)

    def happened(self, what: str, now: float) -> None:
        """Something was done that is worth a mark."""
        self.happenings.append(Happening(round(max(0.0, now - self.began), 1) if now >= self.began else 0.0, what))

    def _second(self, number: int) -> _SecondBook:
        seconds = self._seconds
        while len(seconds) <= number:
            at = len(seconds)
            phase = max(index for index, each in enumerate(self.phases) if each.at <= at)
            seconds.append(_SecondBook(len(self.routes), phase))
        return seconds[number]

    def settle(self, now: float) -> None:
        """Make figures of one second that is long over; call it now and then."""
        if self._settled < min(len(self._seconds), int(max(0.0, now - self.began)) - _SETTLED_AFTER_SECONDS):
            self._seconds[self._settled].settle()
            self._settled += 1

    def last_second(self, now: float) -> Second:
        """Give the figures of the second that was over last; of those before the first, nothing."""
        number = int(max(0.0, now - self.began)) - 1 if now > self.began else -1
        if 0 <= number < len(self._seconds):
            return self._seconds[number].outcome(number)
        return Second(at=number, offered=0, carried=0, latency=Quantiles(), lateness=Quantiles())

    def seconds(self) -> tuple[Second, ...]:
        """Give every second."""
        return tuple(second.outcome(at) for at, second in enumerate(self._seconds))

    def route_outcomes(self) -> tuple[RouteOutcome, ...]:
        """Give every route, a group's with its p99 of each second."""
        figures = [second.figures()[2] for second in self._seconds]

        def by_second(route: RouteBook) -> tuple[tuple[int, float], ...]:
            each = (found[route.index] for found in figures)
            return tuple((at, found.p99) for at, found in enumerate(each) if found.count)

        return tuple(route.outcome(by_second(route) if route.group else ()) for route in self.routes)

    def phase_outcomes(self, seconds: float) -> tuple[PhaseOutcome, ...]:
        """Give every phase that has a name; the last one ends with the run."""
        ends = [*(phase.at for phase in self.phases[1:]), round(seconds)]
        return tuple(
            PhaseOutcome(phase.name, phase.at, end, tuple(self._groups_in(index)))
            for index, (phase, end) in enumerate(zip(self.phases, ends, strict=True))
            if phase.name
        )

    def _groups_in(self, phase: int) -> list[GroupLatency]:
        names = dict.fromkeys(route.group for route in self.routes)
        return [
            GroupLatency(
                name, sum_of(route.by_phase[phase] for route in self.routes if route.group == name).quantiles()
            )
            for name in names
        ]

    def latency(self) -> Durations:
        """Give the latencies of all routes."""
        return sum_of(route.latency() for route in self.routes)
