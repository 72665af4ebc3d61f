"""The admin listener of a running proxy: what it answers, and that nothing which happens to it reaches a call."""

import os
from collections.abc import Iterator
from importlib.metadata import version

from sottovoce.admin import (
    AuditStatus,
    Concern,
    ListenerStatus,
    Readiness,
    RouteStatus,
    State,
    Status,
    duration,
)
from sottovoce.admin.web import build_application, serve_application
from sottovoce.app.floor import Load
from sottovoce.app.serving.health import with_load
from sottovoce.app.serving.parts import CLOCK, Parts
from sottovoce.observe import events
from sottovoce.relay import RouteConfig

_WORST_FIRST = ("unready", "degraded", "notice")


class Operators:
    """An admin.Answers: puts together what the parts know."""

    def __init__(self, parts: Parts) -> None:
        """Count the time from now on."""
        self._parts = parts
        self._began_at = CLOCK.now()
        self._version = version("sottovoce")

    def readiness(self) -> Readiness:
        """Give whether new calls should come."""
        return self._parts.health.readiness()

    def status(self) -> Status:
        """Give everything."""
        parts, health = self._parts, self._parts.health
        load = parts.carrier.load
        readiness, routes = health.readiness(), tuple(self._routes(load))
        found = [*health.concerns(), *self._backend_concerns(routes)]
        concerns = tuple(sorted(found, key=lambda concern: _WORST_FIRST.index(concern.severity)))
        return Status(
            state=_state(readiness, concerns),
            version=self._version,
            pid=os.getpid(),
            uptime_seconds=round(CLOCK.now() - self._began_at, 3),
            draining=health.is_draining,
            readiness=readiness,
            workers=None if (staff := parts.carrier.staff) is None else staff.shown,
            listeners=tuple(self._listeners(load)),
            calls=load.calls,
            routes=routes,
            hsm=with_load(health.hsm, parts.tokens.status),
            seal=health.seal_shown,
            leaf=health.certificate_status("tls_leaf"),
            voice_certificate=health.certificate_status("voice"),
            ticket_key=health.ticket_key_status,
            audit=AuditStatus(health.is_audit_writable, parts.audit.end.records, parts.audit.end.head.hex()),
            handshakes=load.handshakes,
            concerns=concerns,
        )

    def _listeners(self, load: Load) -> Iterator[ListenerStatus]:
        configured = self._parts.configuration.all_listeners()
        for name, address in self._parts.carrier.addresses.items():
            yield ListenerStatus(name, address, str(configured[name].pq), load.listeners.get(name, 0))

    def _routes(self, load: Load) -> Iterator[RouteStatus]:
        now = CLOCK.now()
        for name, config in sorted(self._parts.configuration.routes.items()):
            yield load.route(name, now, is_built_in=config.url is None)

    def _backend_concerns(self, routes: tuple[RouteStatus, ...]) -> Iterator[Concern]:
        for each in routes:
            if each.backend in {"silent", "down"}:
                place = _place(self._parts.configuration.routes[each.name])
                what = f"{place} is {each.backend} since {duration(each.seconds)}: {each.reason}"
                remedy = f"start what listens there, or mend routes.{each.name}.url; the next call tells"
                yield Concern("degraded", f"backend.{each.name}", what, remedy)


async def serve_admin(parts: Parts) -> None:
    """Answer until cancelled; whatever breaks here is logged and ends no call."""

    def crashed(error: BaseException) -> None:
        parts.logger.error(events.TASK_CRASHED, task="admin", exc_info=error)

    if not parts.configuration.admin.is_loopback:
        parts.logger.warning(events.ADMIN_EXPOSED, address=parts.admin_address)
    try:
        await serve_application(parts.admin, build_application(Operators(parts), parts.exposition, crashed), crashed)
    except* Exception as crash:  # noqa: BLE001  the calls go on without somebody who can ask
        crashed(crash)


def _state(readiness: Readiness, concerns: tuple[Concern, ...]) -> State:
    if not readiness.ready:
        return "unready"
    worst = concerns[0].severity if concerns else "notice"
    return "healthy" if worst == "notice" else worst


def _place(config: RouteConfig) -> str:
    """Give a backend's host and port; what follows in its URL may be nobody's affair."""
    return config.address.authority
