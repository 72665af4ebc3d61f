"""`Health`: hears what the parts tell, and gives whoever asks concerns, one for each cause.  Pure but for a clock.

Most of what fails while every token is away fails because of that: so while they are, nothing that waits for one is a
concern of its own, and when one comes back, what failed meanwhile is forgotten and has to fail anew.
"""

from collections import deque
from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from sottovoce.admin import (
    CertificateStatus,
    Concern,
    HsmStatus,
    Readiness,
    SealShown,
    TicketKeyStatus,
    duration,
)
from sottovoce.app.floor import Staff
from sottovoce.app.ledger import Kind
from sottovoce.app.serving.health.staff import staff_concerns
from sottovoce.app.serving.health.tokens import Tokens
from sottovoce.audit import AuditFailed
from sottovoce.hsm import TokenEvent
from sottovoce.hsm.seal import SealStatus, State
from sottovoce.identity import BatchEvent, BatchFailed, TicketKeyErased, TicketKeyEvent, TicketKeyFailed
from sottovoce.pki import CertificateRenewed, RenewalEvent
from sottovoce.transport import Clock

DROP_SECONDS = 60.0
"""So long signatures that did not come are a concern."""
_LOW_SHARE = 1 / 3
_MAX_NOTED = 100
_NAMES: dict[Kind, str] = {"tls_leaf": "TLS certificate", "voice": "voice certificate"}
_SEAL_WORDS: dict[State, Literal["sealed", "unsealing", "unsealed"]] = {
    State.SEALED: "sealed",
    State.UNSEALING: "unsealing",
    State.UNSEALED: "unsealed",
}
_WORDS: dict[Kind, str] = {"tls_leaf": "leaf", "voice": "voice_certificate"}


class _Certificate(msgspec.Struct):
    not_before: float = 0.0
    not_after: float = 0.0
    failure: str = ""

    def seconds_left(self, wall: float) -> float:
        return self.not_after - wall

    def is_low(self, wall: float) -> bool:
        return self.seconds_left(wall) < _LOW_SHARE * (self.not_after - self.not_before)

    def shown(self, wall: float) -> CertificateStatus:
        return CertificateStatus(round(self.seconds_left(wall), 3), self.not_after - self.not_before)


class Seal(Protocol):
    """Knows how the seal stands."""

    @property
    def status(self) -> SealStatus | None:
        """None: there is no seal."""
        ...


class NoSeal:
    """There is none."""

    status: SealStatus | None = None


class Carrying(Protocol):
    """Knows who carries calls."""

    @property
    def staff(self) -> Staff | None:
        """None: nobody but this process."""
        ...


class NoWorkers:
    """There are none."""

    staff: Staff | None = None


class Health:
    """Hears what happens to the proxy's parts, and says how it does."""

    def __init__(self, clock: Clock, tokens: Tokens) -> None:
        """Nothing is there yet."""
        self._clock = clock
        self.is_draining = False
        self.seal: Seal = NoSeal()
        self.carrying: Carrying = NoWorkers()
        self._tokens = tokens
        self._left_out: dict[str, str] = {}
        self._roots_signed = 0
        self._drops: deque[tuple[float, str]] = deque(maxlen=_MAX_NOTED)
        self._certificates: dict[Kind, _Certificate] = {kind: _Certificate() for kind in _NAMES}
        self._ticket_key = ""
        self._ticket_key_since = clock.now()
        self._ticket_failure: TicketKeyFailed | None = None
        self._audit_failure = ""
        self._audit_since = clock.now()

    # What the parts tell.

    def token(self, node: str, event: TokenEvent) -> None:
        """Take what became of a node's token process."""
        if self._tokens.note(node, event):
            self._forget_what_waited()

    def certificate(self, kind: Kind, event: RenewalEvent) -> None:
        """Take what became of a certificate."""
        if isinstance(event, CertificateRenewed):
            self._certificates[kind] = _Certificate(event.not_before, event.not_after)
            if kind == "voice":
                self._left_out.pop(event.node, None)
        elif event.node:
            self._left_out[event.node] = event.reason
        elif self._is_up:
            self._certificates[kind].failure = event.reason

    def ticket_key(self, event: TicketKeyEvent) -> None:
        """Take what became of a ticket key."""
        match event:
            case TicketKeyFailed():
                self._ticket_failure = event if self._is_up else None
            case TicketKeyErased(key):
                if key == self._ticket_key:
                    self._ticket_key = ""
            case replaced:
                self._ticket_key, self._ticket_key_since = replaced.key, self._clock.now()
                self._ticket_failure = None

    def batch(self, event: BatchEvent) -> None:
        """Take what became of a batch of signatures."""
        if not isinstance(event, BatchFailed):
            self._roots_signed += 1
        elif self._is_up:
            self._drops.append((self._clock.now(), event.reason))

    def audit(self, failure: AuditFailed | None) -> None:
        """Take that the audit log cannot be written, or can again."""
        self._audit_failure = "" if failure is None else str(failure)
        self._audit_since = self._clock.now()

    def unsealed(self) -> None:
        """Take that the HSM can be used again, once a token is up."""
        self._tokens.unsealed()

    # What is said.

    @property
    def hsm(self) -> HsmStatus:
        """How the tokens do."""
        return self._tokens.status(self._roots_signed)

    @property
    def seal_shown(self) -> SealShown | None:
        """How the seal stands, if there is one."""
        status = self.seal.status
        if status is None:
            return None
        seconds = round(self._clock.wall() - status.since, 3)
        state = _SEAL_WORDS[status.state]
        return SealShown(state, seconds, status.reason, status.have, status.wanted, status.count)

    @property
    def ticket_key_status(self) -> TicketKeyStatus:
        """The key that tickets are sealed under."""
        return TicketKeyStatus(self._ticket_key, round(self._clock.now() - self._ticket_key_since, 3))

    @property
    def is_audit_writable(self) -> bool:
        """Whether the audit log can be written."""
        return not self._audit_failure

    def certificate_status(self, kind: Kind) -> CertificateStatus:
        """How much of a certificate's life is left."""
        return self._certificates[kind].shown(self._clock.wall())

    def readiness(self) -> Readiness:
        """Whether new calls should come here."""
        return Readiness(not (reasons := tuple(self._reasons())), reasons)

    def concerns(self) -> Iterator[Concern]:
        """What is wrong with the proxy itself, one for each cause, in no order."""
        wall = self._clock.wall()
        if self.is_draining:
            remedy = "nothing to do: calls are being sent elsewhere"
            yield Concern("unready", "drain", "the proxy is going down", remedy)
        if (staff := self.carrying.staff) is not None and not self.is_draining:
            yield from staff_concerns(staff, self._clock.now())
        if self._audit_failure:
            what = f"since {duration(self._clock.now() - self._audit_since)}: {self._audit_failure}"
            yield Concern("unready", "audit", what, "new calls are refused until it can be written again")
        if (sealed := self._sealed) is not None:
            what = "; ".join((_sealed(sealed), *self._ends(wall)))
            yield Concern("unready", "hsm", what, f"{sealed.wanted} of {sealed.count} shares unseal it")
            return
        yield from self._tokens.concerns(list(self._ends(wall)))
        if not self._is_up:
            return
        yield from self._left_out_concerns()
        for kind, each in self._certificates.items():
            yield from _certificate_concern(kind, each, wall)
        if self._ticket_failure is not None:
            what = f"no new ticket key: {self._ticket_failure.reason}"
            remedy = "it is tried again by itself; without one every handshake is a full one"
            yield Concern("notice" if self._ticket_failure.seals else "degraded", "ticket_key", what, remedy)
        yield from self._drops_concern()

    @property
    def _sealed(self) -> SealShown | None:
        """The seal, as long as it is not open."""
        seal = self.seal_shown
        return None if seal is None or seal.state == "unsealed" else seal

    @property
    def _is_up(self) -> bool:
        return self._tokens.is_up

    def _forget_what_waited(self) -> None:
        self._ticket_failure = None
        self._drops.clear()
        for each in self._certificates.values():
            each.failure = ""

    def _reasons(self) -> Iterator[str]:
        wall = self._clock.wall()
        if self.is_draining:
            yield "draining"
        elif (staff := self.carrying.staff) is not None and not staff.serving:
            yield "no_worker"
        if self._audit_failure:
            yield "audit_log_unwritable"
        if self._sealed is not None:
            yield "sealed"
            return
        if self._tokens.are_several and not self._is_up:
            yield "hsm_down"
        for kind, each in self._certificates.items():
            if each.seconds_left(wall) <= 0:
                yield f"{_WORDS[kind]}_over"
            elif each.is_low(wall) and not self._is_up:
                yield f"hsm_down_and_{_WORDS[kind]}_low"

    def _ends(self, wall: float) -> Iterator[str]:
        """Say what no token is there to renew, and should be renewed by now."""
        for kind, each in self._certificates.items():
            if not each.not_after:
                yield f"there is no {_NAMES[kind]} yet"
            elif each.is_low(wall):
                yield f"the {_NAMES[kind]} {'is over' if each.seconds_left(wall) <= 0 else _left(each, wall)}"

    def _left_out_concerns(self) -> Iterator[Concern]:
        for node, reason in self._left_out.items():
            what = f"there is none for the keys of token {node}, which signs for nobody: {reason}"
            remedy = "mend what is named; kill -HUP has the proxy renew it at once"
            yield Concern("degraded", f"voice_certificate.{node}", what, remedy)

    def _drops_concern(self) -> Iterator[Concern]:
        recent = [reason for at, reason in self._drops if at > self._clock.now() - DROP_SECONDS]
        if recent:
            what = f"{len(recent)} batches of handshakes got no signature in the last minute: {recent[-1]}"
            remedy = "the token is slower than callers come: lower listener.max_handshakes, or use a faster token"
            yield Concern("degraded", "signatures", what, remedy)


def _sealed(seal: SealShown) -> str:
    if seal.state == "unsealing":
        return f"it is being unsealed, with {seal.have} of {seal.wanted} shares; sealed: {seal.reason}"
    return f"sealed since {duration(seal.seconds)}: {seal.reason}"


def _certificate_concern(kind: Kind, certificate: _Certificate, wall: float) -> Iterator[Concern]:
    name, is_over = _NAMES[kind], certificate.seconds_left(wall) <= 0
    if certificate.failure:
        what = f"the {name} {_left(certificate, wall)} and is not renewed: {certificate.failure}"
        remedy = "it is tried again by itself; mend what is named"
        yield Concern("unready" if is_over else "degraded", _WORDS[kind], what, remedy)
    elif is_over:
        remedy = "see whether this machine's clock is right; kill -HUP has the proxy renew it at once"
        yield Concern("unready", _WORDS[kind], f"the {name} {_left(certificate, wall)}", remedy)


def _left(certificate: _Certificate, wall: float) -> str:
    left = certificate.seconds_left(wall)
    return f"ends in {duration(left)}" if left > 0 else f"ended {duration(-left)} ago"
