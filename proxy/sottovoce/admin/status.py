"""What a running proxy answers: the shape of `GET /status` and `GET /readyz`, schema `sottovoce.status.1`.

Seconds are counted from the moment of the answer, so that a reader needs no clock that agrees with the proxy's.  No
call, client, identity or key is named; a ticket key has a public number.
"""

from typing import Literal, Protocol

import msgspec

SCHEMA = "sottovoce.status.1"

State = Literal["healthy", "degraded", "unready"]
"""`degraded`: calls are served, and something does not work.  `unready`: new calls should go elsewhere."""
Severity = Literal["unready", "degraded", "notice"]
"""The state that a concern makes; a `notice` makes none, it is what one would like to know."""


class Concern(msgspec.Struct, frozen=True):
    """One cause.  What follows from it has no concern of its own."""

    severity: Severity
    cause: str
    """A word: `hsm`, `hsm.<token>`, `audit`, `backend.<route>` …"""
    what: str
    remedy: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether new calls should come here; the reasons are words, none if they should."""

    ready: bool
    reasons: tuple[str, ...]


class ListenerStatus(msgspec.Struct, frozen=True):
    """A listener: its name, `host:port`, its policy of post-quantum key agreement, and its calls now."""

    name: str
    address: str
    pq: str
    calls: int


class WorkerStatus(msgspec.Struct, frozen=True):
    """A process that carries calls: its number, its state and since when, its calls now.

    One of before an upgrade, whose calls go on to their end, has the state `draining` and no number.
    """

    worker: int | None
    pid: int
    state: Literal["starting", "serving", "draining"]
    seconds: float
    calls: int


class WorkersStatus(msgspec.Struct, frozen=True):
    """All of them: how many there are to be, and how often one was lost and started again."""

    wanted: int
    restarts: int
    each: tuple[WorkerStatus, ...] = ()


class CallCounts(msgspec.Struct, frozen=True):
    """Calls in progress, the most there were at once, and all since the start."""

    now: int
    peak: int
    total: int


class RouteStatus(msgspec.Struct, frozen=True):
    """A route, its calls, and how its backend did in the last call that tells."""

    name: str
    calls: CallCounts
    backend: Literal["not called yet", "answering", "silent", "down", "built in"]
    seconds: float
    """Since when it has been so."""
    reason: str = ""


class TokenStatus(msgspec.Struct, frozen=True):
    """A token by its name: whether its process answers, since when, and how often it was replaced.

    `in_flight` are calls that it has and has not answered, `suspicions` how many were ever late; it is suspect while
    one is.
    """

    name: str
    state: Literal["up", "down", "sealed", "locked"]
    seconds: float
    replacements: int
    reason: str = ""
    in_flight: int = 0
    is_suspect: bool = False
    suspicions: int = 0


class HsmStatus(msgspec.Struct, frozen=True):
    """All tokens: up if any is, since when, how often their processes were replaced, and what they have signed."""

    state: Literal["up", "down", "sealed", "locked"]
    seconds: float
    replacements: int
    roots_signed: int
    reason: str = ""
    quorum: int = 1
    """How many have to be up for a new key."""
    tokens: tuple[TokenStatus, ...] = ()
    waiting: int = 0
    """Calls that wait for their turn at a token."""
    hedges_won: int = 0
    """Calls that were sent to a second token as well, whose answer came first."""
    hedges_lost: int = 0


class SealShown(msgspec.Struct, frozen=True):
    """The seal of the tokens' PINs: how it stands and since when, why it is or was last sealed.

    Of `count` shares there are, it takes `wanted`, and `have` were given.
    """

    state: Literal["sealed", "unsealing", "unsealed"]
    seconds: float
    reason: str
    have: int
    wanted: int
    count: int


class CertificateStatus(msgspec.Struct, frozen=True):
    """A certificate: how many seconds of its life are left (negative: it is over), and how many it had."""

    seconds_left: float
    life_seconds: float


class TicketKeyStatus(msgspec.Struct, frozen=True):
    """The key that tickets are sealed under: its public number, none without a key, and its age."""

    key: str
    seconds: float


class AuditStatus(msgspec.Struct, frozen=True):
    """The audit log: whether it can be written, how many records it has, and its head in hexadecimal."""

    writable: bool
    records: int
    head: str


class HandshakeStatus(msgspec.Struct, frozen=True):
    """Calls by TLS group, and the share of those with a post-quantum one; none before the first call."""

    groups: dict[str, int]
    hybrid_share: float | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /status`."""

    schema: str = SCHEMA
    state: State
    version: str
    pid: int
    uptime_seconds: float
    draining: bool
    readiness: Readiness
    workers: WorkersStatus | None = None
    """None: the proxy is one process."""
    listeners: tuple[ListenerStatus, ...]
    calls: CallCounts
    routes: tuple[RouteStatus, ...]
    hsm: HsmStatus
    seal: SealShown | None = None
    """None: there is none, the PINs lie where the configuration says."""
    leaf: CertificateStatus
    voice_certificate: CertificateStatus
    ticket_key: TicketKeyStatus
    audit: AuditStatus
    handshakes: HandshakeStatus
    concerns: tuple[Concern, ...]
    """The worst first."""


class Answers(Protocol):
    """Knows how the proxy does.  Neither method waits."""

    def status(self) -> Status:
        """Give everything."""
        ...

    def readiness(self) -> Readiness:
        """Give whether new calls should come."""
        ...


class Exposition(Protocol):
    """Knows the metrics."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Give them in a format that the header Accept names, and its content type."""
        ...
