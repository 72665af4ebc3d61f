"""What calls leave behind: lines of the log for the operator, records of the audit log for the auditor.

The only place of the edge that knows both, so that a call cannot be on one and not on the other.  Whoever is asked how
the proxy does (`CallObserver`) hears it here, too, and whoever counts (`CallCounting`).
"""

from collections.abc import Iterable
from typing import Literal, Protocol

from sottovoce.audit import AuditEvent, CallEnded, CallRefused, CallStarted, ClassicalSuiteUsed
from sottovoce.edge.observer import CallObserver, Unobserved
from sottovoce.observe import CallCounting, Logger, Uncounted, events
from sottovoce.relay import CallEnd, LegStatistics
from sottovoce.session import Established
from sottovoce.session.events import Ended
from sottovoce.wire import Code, Codec, code_label

Side = Literal["client", "proxy", "backend"]
"""Who ended a call."""


def refusal_of(ended: Ended, offered: Iterable[Codec]) -> str:
    """Say why a handshake failed.  Where the client gave it up, the code of its close frame is all that it said.  Pure.

    What it did not like is then among what it was offered.
    """
    if not ended.truncated or ended.code not in Code.__members__.values():
        return ended.reason
    reason = f"the client gave up the handshake and says {code_label(ended.code)}"
    if ended.code == Code.AUTH_FAILED:
        cause = "it does not accept this proxy's voice certificate; does it have the current anchor?"
        return f"{reason}: most often {cause}"
    if ended.code == Code.POLICY:
        codecs = ", ".join(codec.name.lower() for codec in sorted(offered))
        causes = f"its codec is none of the route's ({codecs}), or it has no credential of a kind that is taken"
        return f"{reason}: most often {causes}"
    return reason


class AuditNotes(Protocol):
    """Where records of calls go: in order, soon, none dropped."""

    def note(self, event: AuditEvent) -> None:
        """Take an event; synchronous."""
        ...

    async def settle(self) -> None:
        """Wait while many events are unwritten; raises AuditFailed while none can be written."""
        ...


class Journal:
    """Writes both logs.  A code is a number there, whichever side named it; its word stands beside it."""

    def __init__(
        self,
        logger: Logger,
        audit: AuditNotes,
        observer: CallObserver | None = None,
        metrics: CallCounting | None = None,
    ) -> None:
        """Write to these, and tell `observer` and `metrics`."""
        self._logger = logger
        self._audit = audit
        self._observer: CallObserver = Unobserved() if observer is None else observer
        self.metrics: CallCounting = Uncounted() if metrics is None else metrics
        """Also told by the listener, of what has no line in either log."""

    async def settle(self) -> None:
        """Wait until another call may be let in.  Raises AuditFailed while its end could not be kept."""
        await self._audit.settle()

    def tls_refused(self, client: str, reason: str) -> None:
        """A TLS handshake failed, here or at the client."""
        self.metrics.tls_refused(reason)
        self._logger.info(events.TLS_REFUSED, client=client, reason=reason)

    def upgrade_refused(self, client: str, status: int | None, reason: str) -> None:
        """A request did not become a WebSocket."""
        self.metrics.upgrade_refused(status)
        self._logger.info(events.UPGRADE_REFUSED, client=client, status=status, reason=reason)

    def connection_refused(self, client: str | None, reason: str, untold: int) -> None:
        """A connection became no call; `untold` others had no line, for there were too many.

        It is closed before a byte of its client's is read; where descriptors run out it hears 503, over TLS.  Whose it
        is, nobody knows where it could not even be accepted: None.
        """
        whose = {} if client is None else {"client": client}
        self._logger.warning(events.CONNECTION_REFUSED, **whose, reason=reason, untold=untold)

    def session_refused(self, client: str, route: str, code: int, reason: str) -> None:
        """A voice handshake failed."""
        self.metrics.session_refused(code)
        self._logger.info(
            events.SESSION_REFUSED, client=client, route=route, code=int(code), name=code_label(code), reason=reason
        )
        self._audit.note(CallRefused(code=code, reason=code_label(code), client=client))

    def session_established(self, client: str, route: str, tls_group: str, session: Established) -> None:
        """A voice session begins."""
        self._observer.call_started(route, tls_group)
        name = session.identity.name if session.identity else ""
        identifier, suite = session.session_id.hex(), session.suite.name
        self.metrics.session_established(route, tls_group, suite, is_resumed=session.is_resumed)
        self._logger.info(
            events.SESSION_ESTABLISHED,
            session=identifier,
            client=client,
            route=route,
            identity=name or None,
            suite=suite,
            tls_group=tls_group,
        )
        self._audit.note(
            CallStarted(session=identifier, route=route, identity=name, suite=suite, tls_group=tls_group, client=client)
        )
        if session.suite.is_classical:
            self._logger.warning(events.CLASSICAL_SUITE_USED, session=identifier, suite=suite)
            self._audit.note(ClassicalSuiteUsed(session=identifier, suite=suite))

    def session_rekeyed(self, session_id: bytes, epoch: int, *, reauthenticated: bool) -> None:
        """A voice session runs under fresh keys."""
        self.metrics.session_rekeyed(reauthenticated=reauthenticated)
        self._logger.debug(
            events.SESSION_REKEYED, session=session_id.hex(), epoch=epoch, reauthenticated=reauthenticated
        )

    def signature_late(self, client: str, reason: str) -> None:
        """The HSM gave no signature in time for somebody."""
        self.metrics.signature_late()
        self._logger.warning(events.SIGNATURE_DROPPED, client=client, reason=reason)

    def backend_lost(self, session_id: bytes, route: str, reason: str) -> None:
        """A call's backend could not be reached, or went away."""
        self._observer.backend_lost(route, reason)
        self.metrics.backend_lost(route, reason)
        self._logger.warning(events.BACKEND_LOST, session=session_id.hex(), route=route, reason=reason)

    def backend_answered(self, route: str) -> None:
        """A call's backend has said its first thing; to be told once a call.  Not logged: that is as it should be."""
        self._observer.backend_answered(route)

    def backend_silent(self, session_id: bytes, route: str, seconds: float) -> None:
        """A call's backend is connected and has said nothing for so long; to be told once a call."""
        self._observer.backend_silent(route, seconds)
        self.metrics.backend_silent(route)
        self._logger.warning(events.BACKEND_SILENT, session=session_id.hex(), route=route, seconds=round(seconds, 3))

    def session_ended(  # noqa: PLR0913, PLR0917  what there is to say
        self,
        session_id: bytes,
        route: str,
        end: CallEnd,
        side: Side,
        detail: str,
        leg: LegStatistics,
    ) -> None:
        """A voice session is over."""
        self._observer.call_ended(route)
        self.metrics.session_ended(end.code, side, is_truncated=end.truncated)
        counts = end.statistics
        self._logger.info(
            events.SESSION_ENDED,
            session=session_id.hex(),
            route=route,
            code=int(end.code),
            name=end.reason,
            side=side,
            reason=detail,
            truncated=end.truncated,
            seconds=round(counts.seconds, 3),
            epochs=counts.epochs,
            frames_from_client=counts.frames_from_client,
            frames_to_client=counts.frames_to_client,
            frames_dropped_to_client=counts.frames_dropped_to_client,
            frames_dropped_to_backend=leg.frames_dropped_to_backend,
            frames_dropped_from_backend=leg.frames_dropped_from_backend,
        )
        self._audit.note(
            CallEnded(
                session=session_id.hex(),
                code=end.code,
                reason=end.reason,
                side=side,
                truncated=end.truncated,
                epochs=counts.epochs,
                frames_received=counts.frames_from_client,
                frames_sent=counts.frames_to_client,
                frames_lost=counts.frames_lost,
            )
        )

    def connection_crashed(self, client: str, error: BaseException) -> None:
        """A bug of ours ended one connection."""
        self.metrics.connection_crashed()
        self._logger.error(events.TASK_CRASHED, client=client, exc_info=error)
