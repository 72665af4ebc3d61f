"""Connections, handshakes, sessions and backends, counted as they happen: a few times a call, never for a frame."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sottovoce.observe.metrics import labels

_HANDSHAKE_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_CONNECT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CallMetrics:
    """A CallCounting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with `registry`; no route is known yet."""
        self._routes: set[str] = set()
        self._live = 0
        self._peak = 0

        def counter(name: str, text: str, *names: str) -> Counter:
            return Counter(f"sottovoce_{name}", text, names, registry=registry)

        self._handshakes = counter(
            "handshakes", "Voice handshakes that were agreed on or refused.", "tls_group", "suite", "result"
        )
        self._handshake_seconds = Histogram(
            "sottovoce_handshake_seconds",
            "From a connection's coming to the agreed voice session, the client's own time included.",
            buckets=_HANDSHAKE_SECONDS,
            registry=registry,
        )
        self._tls_refusals = counter("tls_refusals", "TLS handshakes that failed, at either end.", "reason")
        self._upgrade_refusals = counter("upgrade_refusals", "Requests that became no WebSocket.", "status")
        self._connection_refusals = counter(
            "connection_refusals", "Connections closed unread or in their handshake, by what refused them.", "reason"
        )
        self._live_sessions = Gauge("sottovoce_live_sessions", "Voice sessions that run.", registry=registry)
        self._peak_sessions = Gauge(
            "sottovoce_peak_sessions", "The most voice sessions that ran at once since the start.", registry=registry
        )
        self._ended = counter("ended_sessions", "Voice sessions that are over.", "code", "side")
        self._truncated = counter("truncated_sessions", "Voice sessions whose connection ended without a close.")
        self._epochs = counter("epochs", "Epochs that began, by what they began with.", "kind")
        self._late_signatures = counter("late_signatures", "Handshakes and rekeys that the HSM kept waiting.")
        self._calls = counter("calls", "Calls that were agreed on.", "route")
        self._backend_faults = counter("backend_faults", "Backends that were down for a call.", "route", "fault")
        self._backend_silences = counter("backend_silences", "Backends that said nothing to a call.", "route")
        self._backend_connect_seconds = Histogram(
            "sottovoce_backend_connect_seconds",
            "How long it took to connect a call to its backend, or to find that it cannot be.",
            ("route", "outcome"),
            buckets=_CONNECT_SECONDS,
            registry=registry,
        )
        self._crashes = counter("connection_crashes", "Connections that a bug of the proxy ended.")
        for kind in ("first", "rekeyed", "reauthenticated"):
            self._epochs.labels(kind)

    def know_routes(self, names: Iterable[str]) -> None:
        """Have these as routes, too: those of the configuration."""
        for name in set(names) - self._routes:
            self._routes.add(name)
            self._calls.labels(name)
            self._backend_silences.labels(name)
            for fault in labels.BACKEND_FAULTS:  # so that an alert sees the first one as a rise
                self._backend_faults.labels(name, fault)

    def tls_refused(self, reason: str) -> None:
        """A TLS handshake failed; `reason` is a TlsReason."""
        self._tls_refusals.labels(labels.known(reason, labels.TLS_REASONS)).inc()

    def upgrade_refused(self, status: int | None) -> None:
        """A request was answered with an HTTP status, or with nothing."""
        word = labels.NONE if status is None else str(status)
        self._upgrade_refusals.labels(labels.known(word, labels.STATUSES)).inc()

    def connection_refused(self, reason: str) -> None:
        """A connection was closed unread, or its handshake cut off; `reason` begins with the limit's name."""
        self._connection_refusals.labels(labels.limit_of(reason)).inc()

    def session_refused(self, code: int) -> None:
        """A voice handshake failed."""
        self._handshakes.labels(labels.NONE, labels.NONE, labels.code_of(code)).inc()

    def session_established(self, route: str, tls_group: str, suite: str, *, is_resumed: bool) -> None:
        """A voice session begins."""
        self._handshakes.labels(
            labels.known(tls_group, labels.TLS_GROUPS),
            labels.known(suite, labels.SUITES),
            "resumed" if is_resumed else "full",
        ).inc()
        self._calls.labels(labels.known(route, self._routes)).inc()
        self._epochs.labels("first").inc()
        self._live += 1
        self._peak = max(self._peak, self._live)
        self._live_sessions.set(self._live)
        self._peak_sessions.set(self._peak)

    def handshake_took(self, seconds: float) -> None:
        """So long after the connection came the voice session was agreed on."""
        self._handshake_seconds.observe(seconds)

    def session_rekeyed(self, *, reauthenticated: bool) -> None:
        """A session runs under fresh keys."""
        self._epochs.labels("reauthenticated" if reauthenticated else "rekeyed").inc()

    def session_ended(self, code: int, side: str, *, is_truncated: bool) -> None:
        """A voice session is over."""
        self._ended.labels(labels.code_of(code), labels.known(side, labels.SIDES)).inc()
        if is_truncated:
            self._truncated.inc()
        self._live -= 1
        self._live_sessions.set(self._live)

    def signature_late(self) -> None:
        """The HSM gave no signature in time for somebody."""
        self._late_signatures.inc()

    def backend_connected(self, route: str, seconds: float, *, succeeded: bool) -> None:
        """A call was connected to its backend, or could not be."""
        outcome = "connected" if succeeded else "failed"
        self._backend_connect_seconds.labels(labels.known(route, self._routes), outcome).observe(seconds)

    def backend_lost(self, route: str, reason: str) -> None:
        """A backend could not be reached, or went away; `reason` begins with a BackendFault."""
        self._backend_faults.labels(labels.known(route, self._routes), labels.fault_of(reason)).inc()

    def backend_silent(self, route: str) -> None:
        """A backend is connected and says nothing."""
        self._backend_silences.labels(labels.known(route, self._routes)).inc()

    def connection_crashed(self) -> None:
        """A bug of ours ended a connection."""
        self._crashes.inc()
