"""How the proxy itself does: its token, certificates, ticket key, signatures and audit log.  Pure but for a clock.

The parts tell what happens (`Reports` passes on what the ledger hears); whoever asks is given concerns, one for each
cause.  Most of what fails while the token is away fails because of that: so while it is, nothing that waits for it is a
concern of its own, and when it comes back, what failed meanwhile is forgotten and has to fail anew.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from sottovoce.admin import CertificateStatus, Concern, HsmStatus, Readiness, Severity, TicketKeyStatus, duration
from sottovoce.app.ledger import Kind, Ledger
from sottovoce.audit import AuditFailed
from sottovoce.hsm import TokenDown, TokenEvent, TokenLocked, TokenUp
from sottovoce.identity import BatchEvent, BatchFailed, TicketKeyErased, TicketKeyEvent, TicketKeyFailed
from sottovoce.pki import CertificateRenewed, RenewalEvent
from sottovoce.transport import Clock

LOSS_SECONDS = 300.0
"""So long a token process that was lost and replaced is worth a notice."""
DROP_SECONDS = 60.0
"""So long signatures that did not come are a concern."""
_LOW_SHARE = 1 / 3
_MAX_NOTED = 100
_NAMES: dict[Kind, str] = {"tls_leaf": "TLS certificate", "voice": "voice certificate"}
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


class Health:
    """Hears what happens to the proxy's parts, and says how it does."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is there yet."""
        self._clock = clock
        self.is_draining = False
        self._hsm: TokenEvent = TokenDown("it has not started yet")
        self._hsm_since = clock.now()
        self._losses: deque[tuple[float, str]] = deque(maxlen=_MAX_NOTED)
        self._replacements = 0
        self._roots_signed = 0
        self._drops: deque[tuple[float, str]] = deque(maxlen=_MAX_NOTED)
        self._certificates: dict[Kind, _Certificate] = {kind: _Certificate() for kind in _NAMES}
        self._ticket_key = ""
        self._ticket_key_since = clock.now()
        self._ticket_failure: TicketKeyFailed | None = None
        self._audit_failure = ""
        self._audit_since = clock.now()

    # What the parts tell.

    def token(self, event: TokenEvent) -> None:
        """Take what became of the token process."""
        now, was_up = self._clock.now(), self._is_up
        if isinstance(event, TokenUp) or was_up:
            self._hsm_since = now
        if was_up and not isinstance(event, TokenUp):
            self._losses.append((now, event.reason))
        elif isinstance(event, TokenUp):
            self._replacements += bool(self._losses)
            self._forget_what_waited()
        self._hsm = event

    def certificate(self, kind: Kind, event: RenewalEvent) -> None:
        """Take what became of a certificate."""
        if isinstance(event, CertificateRenewed):
            self._certificates[kind] = _Certificate(event.not_before, event.not_after)
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

    # What is said.

    @property
    def hsm(self) -> HsmStatus:
        """How the token does."""
        seconds = round(self._clock.now() - self._hsm_since, 3)
        match self._hsm:
            case TokenUp():
                return HsmStatus("up", seconds, self._replacements, self._roots_signed)
            case TokenDown(reason):
                return HsmStatus("down", seconds, self._replacements, self._roots_signed, reason)
            case TokenLocked(reason):
                return HsmStatus("locked", seconds, self._replacements, self._roots_signed, reason)

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
        if self._audit_failure:
            what = f"since {duration(self._clock.now() - self._audit_since)}: {self._audit_failure}"
            yield Concern("unready", "audit", what, "new calls are refused until it can be written again")
        if not self._is_up:
            yield self._hsm_concern(wall)
            return
        yield from self._losses_concern()
        for kind, each in self._certificates.items():
            yield from _certificate_concern(kind, each, wall)
        if self._ticket_failure is not None:
            what = f"no new ticket key: {self._ticket_failure.reason}"
            remedy = "it is tried again by itself; without one every handshake is a full one"
            yield Concern("notice" if self._ticket_failure.seals else "degraded", "ticket_key", what, remedy)
        yield from self._drops_concern()

    @property
    def _is_up(self) -> bool:
        return isinstance(self._hsm, TokenUp)

    def _forget_what_waited(self) -> None:
        self._ticket_failure = None
        self._drops.clear()
        for each in self._certificates.values():
            each.failure = ""

    def _reasons(self) -> Iterator[str]:
        wall = self._clock.wall()
        if self.is_draining:
            yield "draining"
        if self._audit_failure:
            yield "audit_log_unwritable"
        for kind, each in self._certificates.items():
            if each.seconds_left(wall) <= 0:
                yield f"{_WORDS[kind]}_over"
            elif each.is_low(wall) and not self._is_up:
                yield f"hsm_down_and_{_WORDS[kind]}_low"

    def _hsm_concern(self, wall: float) -> Concern:
        hsm = self.hsm
        ends = [
            f"the {_NAMES[kind]} {'is over' if each.seconds_left(wall) <= 0 else _left(each, wall)}"
            for kind, each in self._certificates.items()
            if each.is_low(wall)
        ]
        since = duration(hsm.seconds)
        severity: Severity = "unready" if ends else "degraded"
        if hsm.state == "locked":
            what = "; ".join((f"locked since {since}: {hsm.reason}", *ends))
            return Concern(severity, "hsm", what, "put the right PIN into hsm.pin_file, then start the proxy anew")
        what = "; ".join((f"down since {since}: {hsm.reason}", *ends))
        return Concern(severity, "hsm", what, "it is started again by itself; if it stays down, mend what is named")

    def _losses_concern(self) -> Iterator[Concern]:
        recent = [(at, reason) for at, reason in self._losses if at > self._clock.now() - LOSS_SECONDS]
        if recent:
            at, reason = recent[-1]
            times = "once" if len(recent) == 1 else f"{len(recent)} times"
            what = f"its process was lost {times}, last {duration(self._clock.now() - at)} ago ({reason}), and replaced"
            yield Concern("notice", "hsm", what, "nothing to do; if it goes on, see token.lost in the log")

    def _drops_concern(self) -> Iterator[Concern]:
        recent = [reason for at, reason in self._drops if at > self._clock.now() - DROP_SECONDS]
        if recent:
            what = f"{len(recent)} batches of handshakes got no signature in the last minute: {recent[-1]}"
            remedy = "the token is slower than callers come: lower listener.max_handshakes, or use a faster token"
            yield Concern("degraded", "signatures", what, remedy)


class Reports:
    """Gives what the parts report to the ledger, which writes it down, and to the proxy's health."""

    def __init__(self, ledger: Ledger, health: Health) -> None:
        """Give it to these."""
        self._ledger = ledger
        self._health = health

    def token(self, event: TokenEvent) -> None:
        """Take what became of the token process."""
        self._ledger.token(event)
        self._health.token(event)

    def certificate(self, kind: Kind, event: RenewalEvent) -> None:
        """Take what became of a certificate."""
        self._ledger.certificate(kind, event)
        self._health.certificate(kind, event)

    def ticket_key(self, event: TicketKeyEvent) -> None:
        """Take what became of a ticket key."""
        self._ledger.ticket_key(event)
        self._health.ticket_key(event)

    def batch(self, event: BatchEvent) -> None:
        """Take what became of a batch of leaves."""
        self._ledger.batch(event)
        self._health.batch(event)


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
