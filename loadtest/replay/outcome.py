"""What a run has measured: the one shape that is printed, drawn, compared and written as JSON.

Latencies are counted from the instant at which a frame was *due*, not from when the generator came to send it: a
generator that is late would otherwise hide the very stalls that are looked for (coordinated omission).
"""

import msgspec

SCHEMA = "loadtest.run/1"


class Quantiles(msgspec.Struct, frozen=True):
    """A distribution in milliseconds; `count` is of what was measured, and all is 0 where that is 0."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    highest: float = 0.0


class Second(msgspec.Struct, frozen=True):
    """One second of the run, for pictures over time."""

    at: int
    """Seconds from the first frame that counts."""
    offered: int
    carried: int
    latency: Quantiles
    lateness: Quantiles
    """Of the generator: how long after its due instant a frame was written."""


class RouteOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one URL carried, of a scenario what it carried of one group.

    Frames are counted once there and back: `carried` came back, whole and right.
    """

    url: str
    group: str = ""
    """Of a scenario; none otherwise."""
    sessions: int
    """That came up, later ones in the place of earlier ones included."""
    offered: int
    carried: int
    lost: int
    """Offered, not back within the run's grace."""
    wrong: int = 0
    """Back with other bytes than went out, twice, or out of order."""
    calls_failed: int = 0
    calls_ended: int = 0
    """Ended by the other side in the middle of the run."""
    reasons: dict[str, int] = {}
    """Why calls failed or ended, in words, counted."""
    latency: Quantiles = Quantiles()
    clears: Quantiles = Quantiles()
    """From the due instant of a turn's first frame to the word that what was being said to the caller is dropped."""
    by_second: tuple[tuple[int, float], ...] = ()
    """(second, p99 in milliseconds) of a group, where frames came back."""


class GroupLatency(msgspec.Struct, frozen=True):
    """One group in one phase."""

    group: str
    latency: Quantiles


class PhaseOutcome(msgspec.Struct, frozen=True):
    """One stretch of a scenario; frames belong to the one in which they were due."""

    name: str
    at: int
    until: int
    """Seconds from the first frame that counts."""
    groups: tuple[GroupLatency, ...]


class Happening(msgspec.Struct, frozen=True):
    """Something that a scenario did, for a mark in the picture."""

    at: float
    """Seconds from the first frame that counts."""
    what: str


class Handshakes(msgspec.Struct, frozen=True, kw_only=True):
    """How the sessions came about."""

    done: int
    failed: int
    per_second: float
    """Of those that came about before the first frame."""
    latency: Quantiles
    """From the first SYN to the first frame that may be sent."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the run cost the processes that carried it; None where a process could not be looked at."""

    proxy_us_per_frame: float | None = None
    """Processor microseconds (user and system) for one frame forwarded in one direction: there and back are two."""
    token_us_per_frame: float | None = None
    proxy_cores: float | None = None
    """Processors that it kept busy: 1.0 is one core."""
    proxy_waited_cores: float | None = None
    """Processors that it was ready to keep busy, and others had: on a quiet machine next to none."""
    rss_kib_per_call: float | None = None
    generator_cores: float | None = None
    backend_cores: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    schema: str = SCHEMA
    name: str = "sottovoce"
    """What carried it, in a comparison: `sottovoce`, `haproxy`, `nginx`."""
    about: str = ""
    """What a scenario says of itself."""
    started_at: str
    """ISO 8601, UTC."""
    machine: str
    """Processor, cores, kernel, Python: in one line."""
    sessions: int
    seconds: float
    """Over which frames were offered."""
    frames_per_second: float
    """Of one session, one way."""
    tick_us: int = 0
    """0: each frame at an instant of its own; else arrivals are gathered to ticks of so many microseconds."""
    routes: tuple[RouteOutcome, ...]
    handshakes: Handshakes
    latency: Quantiles
    lateness: Quantiles
    """Of the generator, for what it writes: how long after its due instant a frame was written."""
    reading: Quantiles = Quantiles()
    """Of the generator, for what it reads: how long a frame may have lain in its socket, at most.  It is part of what
    is counted as latency."""
    cost: Cost = Cost()
    seconds_of_run: tuple[Second, ...] = ()
    distribution: tuple[tuple[float, float], ...] = ()
    """(percentile, milliseconds), rising, for the curve on a logarithmic axis."""
    phases: tuple[PhaseOutcome, ...] = ()
    happenings: tuple[Happening, ...] = ()
    is_partial: bool = False
    """Stopped before its time: by hand, or because no call was left."""
    discarded: str | None = None
    """Why the figures say nothing about the proxy (`the generator was the limit: …`); None for a sound run."""

    @property
    def offered(self) -> int:
        """Frames that were due."""
        return sum(route.offered for route in self.routes)

    @property
    def carried(self) -> int:
        """Frames that came back whole."""
        return sum(route.carried for route in self.routes)

    @property
    def lost(self) -> int:
        """Frames that did not."""
        return sum(route.lost for route in self.routes)
