"""Tokens, their operations, certificates and ticket keys, counted as it happens."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from sottovoce.observe.metrics import labels

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LEAVES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class KeyMetrics:
    """A KeyCounting, and a TokenTimes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with `registry`; no node is known yet."""
        self._nodes: set[str] = set()

        def counter(name: str, text: str, *names: str) -> Counter:
            return Counter(f"sottovoce_{name}", text, names, registry=registry)

        self._hsm_seconds = Histogram(
            "sottovoce_hsm_seconds",
            "How long whoever asked a token waited for the answer.",
            ("node", "operation", "outcome"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._hsm_wait_seconds = Histogram(
            "sottovoce_hsm_wait_seconds",
            "Of that, how long until a token process was free to be asked.",
            ("node",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._roots = counter("roots", "Merkle roots that the HSM signed, or did not.", "kind", "outcome")
        self._root_leaves = Histogram(
            "sottovoce_root_leaves", "How many handshakes shared a signature.", buckets=_LEAVES, registry=registry
        )
        self._token_starts = counter("token_starts", "Token processes that have proved themselves.", "node")
        self._token_losses = counter(
            "token_losses", "Token processes that went, did not start, or were locked.", "node"
        )
        self._renewals = counter(
            "certificate_renewals", "Certificates that were issued, or could not be.", "kind", "outcome"
        )
        self._ticket_keys = counter("ticket_keys", "What became of the keys that seal tickets.", "outcome")
        for kind in labels.CERTIFICATES:
            self._renewals.labels(kind, "failed")
        for kind in labels.ROOTS:
            self._roots.labels(kind, "failed")
        self._ticket_keys.labels("failed")

    def know_nodes(self, names: Iterable[str]) -> None:
        """Have these as nodes: those of the configuration."""
        for name in set(names) - self._nodes:
            self._nodes.add(name)
            self._token_starts.labels(name)
            self._token_losses.labels(name)

    def call_took(self, node: str, operation: str, outcome: str, seconds: float) -> None:
        """A call of a token is over for its caller; `node` is empty where none answered."""
        self._hsm_seconds.labels(
            labels.known(node, self._nodes) if node else labels.NONE,
            labels.known(operation, labels.OPERATIONS),
            labels.HSM_OUTCOMES.get(outcome, "failed"),
        ).observe(seconds)

    def call_waited(self, node: str, seconds: float) -> None:
        """A call has waited so long for its turn, and is sent to that node."""
        self._hsm_wait_seconds.labels(labels.known(node, self._nodes)).observe(seconds)

    def token_started(self, node: str) -> None:
        """A node's token process has proved itself."""
        self._token_starts.labels(labels.known(node, self._nodes)).inc()

    def token_lost(self, node: str) -> None:
        """A node's token process is gone, or a replacement did not start."""
        self._token_losses.labels(labels.known(node, self._nodes)).inc()

    def certificate_renewed(self, kind: str, *, succeeded: bool) -> None:
        """A certificate was issued, or could not be."""
        self._renewals.labels(labels.known(kind, labels.CERTIFICATES), "issued" if succeeded else "failed").inc()

    def ticket_key(self, outcome: str) -> None:
        """A ticket key was `replaced` or `erased`, or a new one `failed` to come."""
        self._ticket_keys.labels(labels.known(outcome, labels.TICKET_KEYS)).inc()

    def root_signed(self, kind: str, leaves: int) -> None:
        """A root over so many leaves was signed."""
        self._roots.labels(labels.known(kind, labels.ROOTS), "signed").inc()
        self._root_leaves.observe(leaves)

    def root_failed(self, kind: str) -> None:
        """A root got no signature."""
        self._roots.labels(labels.known(kind, labels.ROOTS), "failed").inc()
