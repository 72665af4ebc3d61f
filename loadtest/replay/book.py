"""What becomes of each frame, written down: for each route, for each second, for the whole.

A frame belongs to the second in which it was *due*, however much later it comes back.  Frames that were due before
`began`, those of the warm-up, leave no trace.
"""

from collections import Counter

from loadtest.replay.counting import Durations, sum_of
from loadtest.replay.outcome import Quantiles, RouteOutcome, Second

_SETTLED_AFTER_SECONDS = 10
"""So long after its end a second's distribution is made into figures, so that an hour's run stays small."""


class RouteBook:
    """One target's figures."""

    __slots__ = ("calls_ended", "calls_failed", "latency", "offered", "reasons", "sessions", "url", "wrong")

    def __init__(self, url: str) -> None:
        self.url = url
        self.sessions = 0
        self.offered = 0
        self.wrong = 0
        self.calls_failed = 0
        self.calls_ended = 0
        self.reasons: Counter[str] = Counter()
        self.latency = Durations()

    def outcome(self) -> RouteOutcome:
        """Give the route's part of the outcome."""
        carried = self.latency.total
        return RouteOutcome(
            url=self.url,
            sessions=self.sessions,
            offered=self.offered,
            carried=carried,
            lost=self.offered - carried,
            wrong=self.wrong,
            calls_failed=self.calls_failed,
            calls_ended=self.calls_ended,
            reasons=dict(self.reasons),
            latency=self.latency.quantiles(),
        )


class _SecondBook:
    __slots__ = ("carried_late", "latency", "lateness", "offered", "settled")

    def __init__(self) -> None:
        self.offered = 0
        self.latency = Durations()
        self.lateness = Durations()
        self.settled: tuple[Quantiles, Quantiles] | None = None
        self.carried_late = 0
        """Came back after the second was settled."""

    def settle(self) -> None:
        self.settled = self.latency.quantiles(), self.lateness.quantiles()
        self.latency = self.lateness = Durations()

    def outcome(self, at: int) -> Second:
        latency, lateness = self.settled or (self.latency.quantiles(), self.lateness.quantiles())
        return Second(
            at=at,
            offered=self.offered,
            carried=latency.count + self.carried_late,
            latency=latency,
            lateness=lateness,
        )


class Book:
    """The whole run's figures."""

    def __init__(self, urls: list[str]) -> None:
        self.routes = [RouteBook(url) for url in urls]
        self.lateness = Durations()
        self.handshakes = Durations()
        self.began = float("inf")
        """From when on frames count."""
        self._seconds: list[_SecondBook] = []
        self._settled = 0

    @property
    def offered(self) -> int:
        """Frames that were due."""
        return sum(route.offered for route in self.routes)

    @property
    def carried(self) -> int:
        """Frames that came back."""
        return sum(route.latency.total for route in self.routes)

    def was_offered(self, route: RouteBook, due: float, written: float | None) -> None:
        """A frame was due; `written` is when it was given to its socket, None if there was nobody to write it for."""
        at = due - self.began
        if at < 0:
            return
        route.offered += 1
        second = self._second(int(at))
        second.offered += 1
        if written is not None:
            second.lateness.add(written - due)
            self.lateness.add(written - due)

    def came_back(self, route: RouteBook, due: float, now: float) -> None:
        """The frame that was due then has come back, whole."""
        at = due - self.began
        if at < 0:
            return
        route.latency.add(now - due)
        second = self._second(int(at))
        if second.settled is None:
            second.latency.add(now - due)
        else:
            second.carried_late += 1

    def was_wrong(self, route: RouteBook, now: float) -> None:
        """Something came that was no frame waited for."""
        if now >= self.began:
            route.wrong += 1

    def _second(self, number: int) -> _SecondBook:
        seconds = self._seconds
        while len(seconds) <= number:
            seconds.append(_SecondBook())
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

    def latency(self) -> Durations:
        """Give the latencies of all routes."""
        return sum_of(route.latency for route in self.routes)
