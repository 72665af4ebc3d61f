"""What the metrics read off the proxy's parts."""

from typing import TYPE_CHECKING

import msgspec

from sottovoce.hsm import TokenState
from sottovoce.observe.metrics import Readings, TokenReading
from sottovoce.pki import Validity
from sottovoce.transport import Clock

if TYPE_CHECKING:
    from sottovoce.app.serving.parts import Parts


_ALONE = {"starting": 0, "serving": 1, "draining": 0}


def read(parts: "Parts", clock: Clock) -> Readings:
    """Read everything, once."""
    wall = clock.wall()
    load, pool, staff = parts.carrier.load, parts.tokens.status, parts.carrier.staff
    return Readings(
        carried=load.carried,
        half_open=load.half_open,
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
        ticket_key_seconds=load.ticket_key_seconds,
        tickets=load.tickets,
        audit_records=parts.audit.end.records,
        audit_unwritten=parts.audit.unwritten,
        audit_is_up=parts.audit.failure is None,
        is_ready=parts.health.readiness().ready,
        workers=_ALONE if staff is None else {state: staff.states[state] for state in _ALONE},
        worker_restarts=0 if staff is None else staff.shown.restarts,
        tasks=load.tasks,
    )


def _life_left(validity: Validity, wall: float) -> float:
    """Give the part of a certificate's life that is left, 1 to 0."""
    life = validity.not_after - validity.not_before
    return min(1.0, max(0.0, (validity.not_after - wall) / life)) if life > 0 else 0.0
