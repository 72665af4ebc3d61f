"""What a running proxy was told anew, and whether it took it."""

from prometheus_client import CollectorRegistry, Counter

from sottovoce.observe.metrics import labels


class ReloadMetrics:
    """Counts readings of files, as the log tells of them; those of the start are none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with `registry`."""
        self._reloads = Counter(
            "sottovoce_reloads",
            "What was read again while the proxy ran, by whether it is used now.",
            ("what", "outcome"),
            registry=registry,
        )
        for what, outcomes in labels.RELOADS.items():
            for outcome in outcomes:  # so that an alert sees the first one as a rise
                self._reloads.labels(what, outcome)

    def configuration_taken(self, *, waits: bool) -> None:
        """A configuration is used now; `waits`: but for keys that take a restart."""
        self._reloads.labels("configuration", "restart_needed" if waits else "taken").inc()

    def configuration_refused(self) -> None:
        """A configuration has faults: the one before goes on."""
        self._reloads.labels("configuration", "refused").inc()

    def clients_taken(self) -> None:
        """Who may call is used as it was read now, or what of it can be read."""
        self._reloads.labels("clients", "taken").inc()

    def clients_refused(self) -> None:
        """Something about who may call cannot be used: there what held before goes on."""
        self._reloads.labels("clients", "refused").inc()
