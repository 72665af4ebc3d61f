"""What a run is to do: whom to call, how often, with what.  Everything is read and checked before; nothing is opened.

`run_load(plan)` makes an `Outcome` of it.
"""

from enum import Enum
from typing import Protocol

import msgspec

from loadtest.replay.book import Phase
from sottovoce.app.wav import Recording
from sottovoce.primitives import Secret
from sottovoce.session import Anchor
from sottovoce.wire import Codec

SEALED_BYTES = 668
"""A binary message of 20 ms of PCM16 at 16 kHz once it is sealed: what opaque messages weigh unless told otherwise."""
FRAMES_PER_SECOND = 50.0
SESSIONS_PER_SECOND = 50.0
WARM_UP_SECONDS = 1.0
GRACE_SECONDS = 2.0


class Kind(Enum):
    """What a session is to the one that carries it."""

    VOICE = "voice"
    """A call of `sottovoce.client`: TLS, WebSocket, voice handshake, sealed audio; the route echoes."""
    OPAQUE = "opaque"
    """TLS and WebSocket around numbered binary messages that nobody but the generator can read: for any proxy."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One URL to call.  Sessions are dealt out to targets in turn."""

    url: str
    """`wss://host:port/route`; an opaque session may be `ws://` too, to go to the backend itself."""
    kind: Kind = Kind.VOICE
    anchors: tuple[Anchor, ...] = ()
    """Of a voice session."""
    ca: bytes | None = None
    """PEM text; None: the authorities that the system trusts."""
    token: Secret | None = None
    """The bearer token that a voice session shows; it stays the caller's, who wipes it."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Processes whose processor time and memory are read from /proc, by pid; children are not added."""

    proxy: tuple[int, ...] = ()
    token: tuple[int, ...] = ()
    backend: tuple[int, ...] = ()


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that do the same; what a scenario consists of."""

    name: str = ""
    calls: int
    """At a time, over all targets."""
    at_seconds: float = 0.0
    """From when on they come, in the time that counts; 0: they are all there before the first frame."""
    per_second: float = SESSIONS_PER_SECOND
    """How fast they are begun."""
    lasts_seconds: float = 0.0
    """Of a call, which hangs up then; 0: to the end."""
    again: bool = False
    """Whether another call takes the place of one that has ended, whoever ended it."""
    frames_per_second: float = FRAMES_PER_SECOND
    codec: Codec | None = None
    """None: that of the recordings."""
    talks_seconds: float = 0.0
    """Of a turn, behind which `pauses_seconds` are silent; 0: they talk all the time."""
    pauses_seconds: float = 0.0
    stalls_seconds: float = 0.0
    """How long nothing is read, after each `reads_seconds` in which it is; 0: they always read."""
    reads_seconds: float = 0.0


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the backend is gone."""

    at_seconds: float
    until_seconds: float


class Switch(Protocol):
    """Takes a backend away and gives it back."""

    def down(self) -> None:
        """Close what it has and take nothing new."""
        ...

    def up(self) -> None:
        """Take calls again."""
        ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run."""

    targets: tuple[Target, ...]
    sessions: int
    """In all, over all targets; of a scenario, where `groups` say it, what is said of the whole."""
    seconds: float
    """In which frames count; a warm-up goes before and a grace for the last frames comes behind."""
    frames_per_second: float = FRAMES_PER_SECOND
    """Of each session.  Voice sessions: 1000 / 10, 20, 40 or 60."""
    tick_us: int = 0
    """0: each frame at its own instant; else arrivals are gathered to ticks of so many microseconds."""
    sessions_per_second: float = SESSIONS_PER_SECOND
    """How fast sessions are begun."""
    payload_bytes: int = SEALED_BYTES
    """Of an opaque message."""
    recordings: tuple[Recording, ...] = ()
    """What voice sessions say, in turn; none: the bundled speech."""
    warm_up_seconds: float = WARM_UP_SECONDS
    grace_seconds: float = GRACE_SECONDS
    watched: Watched = Watched()
    name: str = "sottovoce"
    """Of the outcome."""
    seed: int = 1
    """Decides how the sessions' instants are spread over a frame's time: the same in runs that are compared."""
    about: str = ""
    """Of a scenario, for people."""
    groups: tuple[Group, ...] = ()
    """Of a scenario; none: `sessions` that talk from the beginning to the end."""
    phases: tuple[Phase, ...] = ()
    outages: tuple[Outage, ...] = ()
    backend: Switch | None = None
    """What outages take away."""

    @property
    def all_groups(self) -> tuple[Group, ...]:
        """The groups of a scenario, or the one of a run without."""
        one = Group(calls=self.sessions, per_second=self.sessions_per_second, frames_per_second=self.frames_per_second)
        return self.groups or (one,)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is; told about once a second."""

    phase: str
    """`calling`, `warming up`, `measuring`, `waiting for the last frames`."""
    seconds: float
    """In this phase."""
    sessions_up: int
    sessions_failed: int
    offered: int
    carried: int
    latency_p99_ms: float
    """Of the last second."""
    lateness_p99_ms: float
