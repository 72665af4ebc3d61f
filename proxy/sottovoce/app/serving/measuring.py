"""What the metrics read off the proxy's parts, and the one thing that is measured around one: connecting backends."""

import platform
from contextlib import AbstractAsyncContextManager
from importlib import metadata
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec
import trio

from sottovoce.hsm import TokenState
from sottovoce.identity import TicketOutcome
from sottovoce.observe import CallCounts
from sottovoce.observe.metrics import CallMetrics, Readings, TokenReading
from sottovoce.pki import Validity
from sottovoce.relay import BackendDown, CallSink, CallStart, Leg, Route
from sottovoce.transport import Clock
from sottovoce.transport.probe import openssl_version

if TYPE_CHECKING:
    from sottovoce.app.serving.parts import Parts


def versions() -> dict[str, str]:
    """Give the labels of the build info."""
    return {
        "version": metadata.version("sottovoce"),
        "python": platform.python_version(),
        "openssl": openssl_version(),
        "cryptography": metadata.version("cryptography"),
    }


class MeasuredRoute:
    """A Route whose connecting is measured."""

    def __init__(self, route: Route, metrics: CallMetrics) -> None:
        """Connect by `route`."""
        self.name = route.name
        self.codecs = route.codecs
        self.warnings = route.warnings
        self.plaintext_network = route.plaintext_network
        self._route = route
        self._metrics = metrics

    def connect(self, start: CallStart, sink: CallSink) -> AbstractAsyncContextManager[Leg]:
        """Connect one call; see `Route.connect`."""
        return _Measured(self.name, self._route.connect(start, sink), self._metrics)


class _Measured(AbstractAsyncContextManager[Leg]):
    """Enters and leaves as the connection does; no generator, so that the block's exceptions pass as they are."""

    def __init__(self, route: str, connection: AbstractAsyncContextManager[Leg], metrics: CallMetrics) -> None:
        self._route = route
        self._connection = connection
        self._metrics = metrics

    async def __aenter__(self) -> Leg:
        began = trio.current_time()
        try:
            leg = await self._connection.__aenter__()
        except BackendDown:
            self._metrics.backend_connected(self._route, trio.current_time() - began, succeeded=False)
            raise
        self._metrics.backend_connected(self._route, trio.current_time() - began, succeeded=True)
        return leg

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._connection.__aexit__(kind, error, traceback)


def read(parts: "Parts", clock: Clock) -> Readings:
    """Read everything, once."""
    wall = clock.wall()
    listeners = [each.listener for each in parts.listeners]
    tickets, pool = parts.tickets, parts.tokens.status
    return Readings(
        carried=sum((listener.carried for listener in listeners), CallCounts()),
        half_open=sum(listener.half_open for listener in listeners),
        tokens={
            node.name: TokenReading(
                is_up=node.state is TokenState.UP,
                breaker=node.breaker.value,
                sessions=node.sessions,
                in_flight=node.in_flight,
                suspects=node.suspects,
                suspicions_total=node.suspicions,
                renewals_total=msgspec.structs.asdict(node.renewals),
            )
            for node in pool.nodes
        },
        hsm_waiting=pool.waiting,
        has_quorum=pool.has_quorum,
        is_sealed=not parts.sealing.is_open,
        hedges={"won": pool.hedges_won, "lost": pool.hedges_lost},
        leaf_seconds=parts.leaf.not_after - wall,
        leaf_life=_life_left(parts.leaf.validity, wall),
        voice_certificate_seconds=parts.voice.not_after - wall,
        voice_certificate_life=_life_left(parts.voice.validity, wall),
        ticket_key_seconds=tickets.key_age_seconds,
        tickets={outcome.value: tickets.outcomes[outcome] for outcome in TicketOutcome},
        audit_records=parts.audit.end.records,
        audit_unwritten=parts.audit.unwritten,
        audit_is_up=parts.audit.failure is None,
        is_ready=parts.health.readiness().ready,
        tasks=trio.lowlevel.current_statistics().tasks_living,
    )


def _life_left(validity: Validity, wall: float) -> float:
    """Give the part of a certificate's life that is left, 1 to 0."""
    life = validity.not_after - validity.not_before
    return min(1.0, max(0.0, (validity.not_after - wall) / life)) if life > 0 else 0.0
