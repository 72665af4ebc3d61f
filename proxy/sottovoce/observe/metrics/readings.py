"""Numbers that the proxy's parts keep anyway, read when somebody asks for the metrics."""

from collections.abc import Callable, Iterator, Mapping

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sottovoce.observe.counting import CallCounts


class TokenReading(msgspec.Struct, frozen=True, kw_only=True):
    """Of one node."""

    is_up: bool
    breaker: str
    """One of BREAKER_STATES."""
    sessions: int
    """That are open."""
    in_flight: int
    suspects: int
    """Of these, those that are out for too long."""
    suspicions_total: int
    renewals_total: Mapping[str, int]
    """By what was renewed."""


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What `app` reads off the parts; every number that ends in `_total` there only grows."""

    carried: CallCounts
    """By every call of every listener since the start."""
    half_open: int
    tokens: Mapping[str, TokenReading]
    """By the node's name."""
    hsm_waiting: int
    has_quorum: bool
    is_sealed: bool
    hedges: Mapping[str, int]
    """By outcome."""
    leaf_seconds: float
    """Until the TLS certificate expires; below zero afterwards."""
    leaf_life: float
    """Of its whole life, the part that is left: 1 to 0."""
    voice_certificate_seconds: float
    voice_certificate_life: float
    ticket_key_seconds: float | None
    """How old the key is that seals tickets; None while there is none."""
    tickets: Mapping[str, int]
    """By outcome."""
    audit_records: int
    audit_unwritten: int
    audit_is_up: bool
    is_ready: bool
    workers: Mapping[str, int]
    """Processes that carry calls, by their state."""
    worker_restarts: int
    tasks: int
    """Of the event loop, whoever asks among them."""


BREAKER_STATES = ("closed", "half_open", "open")
Read = Callable[[], Readings]


class ReadingsCollector(Collector):
    """Reads, and makes metrics of it.  Frames never go backwards, also where a loss is found to be none."""

    def __init__(self, read: Read) -> None:
        """Read by `read`, in the task that asks for the metrics."""
        self._read = read
        self._highest: dict[tuple[str, ...], int] = {}

    def collect(self) -> Iterator[Metric]:
        """Read; called when somebody asks."""
        readings = self._read()
        yield from self._frames(readings.carried)
        yield from _tickets_and_audit(readings)
        yield from _tokens(readings)
        yield self._renewals(readings)
        yield from _workers(readings)
        yield from _gauges(readings)

    def _frames(self, carried: CallCounts) -> Iterator[Metric]:
        frames = CounterMetricFamily(
            "sottovoce_frames", "Frames, by where they went and what became of them.", labels=("direction", "outcome")
        )
        for key, value in (
            (("to_backend", "forwarded"), carried.to_backend),
            (("to_backend", "dropped_oldest"), carried.to_backend_dropped),
            (("to_backend", "lost"), carried.lost_from_client),
            (("to_client", "forwarded"), carried.to_client),
            (("to_client", "dropped_oldest"), carried.to_client_dropped),
            (("to_client", "dropped_ahead"), carried.from_backend_ahead),
            (("to_client", "oversize"), carried.to_client_oversize),
        ):
            frames.add_metric(key, self._at_least_as_before(key, value))
        yield frames
        yield CounterMetricFamily(
            "sottovoce_opened_frames",
            "Frames of clients that were opened.",
            value=self._at_least_as_before(("opened",), carried.from_client),
        )
        yield CounterMetricFamily(
            "sottovoce_generations",
            "Keys that frames to clients were sealed under.",
            value=self._at_least_as_before(("generations",), carried.generations),
        )

    def _renewals(self, readings: Readings) -> Metric:
        renewals = CounterMetricFamily(
            "sottovoce_token_renewals",
            "What token processes did beside their work: sessions and logins again, keys looked up.",
            labels=("node", "what"),
        )
        for node, each in readings.tokens.items():
            for what, count in each.renewals_total.items():
                renewals.add_metric((node, what), self._at_least_as_before(("renewals", node, what), count))
        return renewals

    def _at_least_as_before(self, key: tuple[str, ...], value: int) -> int:
        highest = self._highest[key] = max(value, self._highest.get(key, 0))
        return highest


def _tickets_and_audit(readings: Readings) -> Iterator[Metric]:
    tickets = CounterMetricFamily(
        "sottovoce_tickets", "Tickets that were wanted or shown, by what became of them.", labels=("outcome",)
    )
    for outcome, count in readings.tickets.items():
        tickets.add_metric((outcome,), count)
    yield tickets
    yield CounterMetricFamily("sottovoce_audit_records", "Records of the audit log.", value=readings.audit_records)


def _tokens(readings: Readings) -> Iterator[Metric]:
    up = GaugeMetricFamily("sottovoce_token_up", "Whether the token answers.", labels=("node",))
    busy = GaugeMetricFamily("sottovoce_hsm_in_flight_calls", "Calls that the token has to answer.", labels=("node",))
    late = CounterMetricFamily(
        "sottovoce_token_suspicions", "Calls that were out for so long that the token may hang.", labels=("node",)
    )
    breaker = GaugeMetricFamily(
        "sottovoce_token_breaker", "1 for the state that the token's breaker is in.", labels=("node", "state")
    )
    sessions = GaugeMetricFamily(
        "sottovoce_token_sessions", "Sessions of the token, by what they do.", labels=("node", "state")
    )
    for node, each in readings.tokens.items():
        up.add_metric((node,), float(each.is_up))
        busy.add_metric((node,), each.in_flight)
        late.add_metric((node,), each.suspicions_total)
        for state in BREAKER_STATES:
            breaker.add_metric((node, state), float(each.breaker == state))
        at_work = min(each.in_flight, each.sessions)
        for state, count in (("open", each.sessions), ("busy", at_work), ("suspect", min(each.suspects, at_work))):
            sessions.add_metric((node, state), count)
    yield from (up, busy, late, breaker, sessions)
    hedges = CounterMetricFamily(
        "sottovoce_hsm_hedges", "Calls that a second token was asked, by whose answer came first.", labels=("outcome",)
    )
    for outcome, count in readings.hedges.items():
        hedges.add_metric((outcome,), count)
    yield hedges


def _workers(readings: Readings) -> Iterator[Metric]:
    workers = GaugeMetricFamily("sottovoce_workers", "Processes that carry calls, by their state.", labels=("state",))
    for state, count in readings.workers.items():
        workers.add_metric((state,), count)
    yield workers
    yield CounterMetricFamily(
        "sottovoce_worker_restarts",
        "Workers that were lost, and started again.",
        value=readings.worker_restarts,
    )


def _gauges(readings: Readings) -> Iterator[Metric]:
    for name, text, value in (
        ("half_open_handshakes", "Handshakes that are under way.", readings.half_open),
        ("hsm_waiting_calls", "Calls of tokens that wait for their turn.", readings.hsm_waiting),
        ("hsm_quorum_up", "Whether enough tokens are up for new keys.", readings.has_quorum),
        ("hsm_unsealed_up", "Whether tokens may be used: 0 while their PINs are sealed.", not readings.is_sealed),
        ("leaf_expiry_seconds", "Until the TLS certificate expires.", readings.leaf_seconds),
        ("leaf_life_ratio", "How much of the TLS certificate's life is left.", readings.leaf_life),
        (
            "voice_certificate_expiry_seconds",
            "Until the voice certificate expires.",
            readings.voice_certificate_seconds,
        ),
        ("voice_certificate_life_ratio", "How much of its life is left.", readings.voice_certificate_life),
        ("audit_waiting_records", "Records that are not yet on the disk.", readings.audit_unwritten),
        ("audit_up", "Whether the audit log can be written.", readings.audit_is_up),
        ("ready_up", "Whether the proxy takes calls: what /readyz says.", readings.is_ready),
        ("loop_tasks", "Tasks of the event loop.", readings.tasks),
    ):
        yield GaugeMetricFamily(f"sottovoce_{name}", text, value=float(value))
    age = GaugeMetricFamily("sottovoce_ticket_key_age_seconds", "How old the key is that seals tickets.")
    if readings.ticket_key_seconds is not None:
        age.add_metric((), readings.ticket_key_seconds)
    yield age
