"""The server's side of tickets (protocol §6): which one may take the place of signatures, and what a new one says.

A ticket that cannot be used is ignored, never fatal: the handshake is then a full one.
"""

import hashlib
from typing import NamedTuple

import msgspec

from sottovoce.primitives import Secret, Suite
from sottovoce.session.config import Carriage, ServerConfig, ServerDependencies
from sottovoce.session.credentials import Identity
from sottovoce.session.tickets import TicketBox, TicketState
from sottovoce.session.trust import ServedCertificate
from sottovoce.wire import MAX_TICKET_BYTES, MAX_TICKET_SECONDS, CredentialKind
from sottovoce.wire.messages import NewTicket

_NO_PSK_BYTES = 0
_CLOCK_SLACK_SECONDS = 5.0
"""So far may the clock have gone back since a ticket's handshake."""


class Place(NamedTuple):
    """Where a handshake runs, as far as tickets are bound to it."""

    carriage: Carriage
    suite: Suite
    binding_type: int


def open_ticket(
    ticket: bytes, place: Place, config: ServerConfig, parts: ServerDependencies, wall: float
) -> TicketState | None:
    """Give what is in a ticket that can be used here and now; the caller wipes its psk, and spends the ticket.

    Cheap: it comes before the KEM.
    """
    if parts.tickets is None:
        return None
    carriage = place.carriage
    state = parts.tickets.open(ticket, carriage.authority.lower(), carriage.path, wall)
    if state is None:
        return None
    if (
        _is_of(state, place)
        and parts.serving.serves(state.anchor_id)
        and _is_good(state, wall)
        and _is_promise_kept(state.reauthenticate_every, config.reauthenticate_every)
        and parts.credentials.still_holds(state.identity, state.authority, state.path)
    ):
        return state
    state.psk.wipe()
    return None


def _is_of(state: TicketState, place: Place) -> bool:
    """Whether a ticket is bound to this place."""
    carriage = place.carriage
    return (
        state.suite == place.suite
        and state.binding_type == place.binding_type
        and (state.authority, state.path) == (carriage.authority.lower(), carriage.path)
        and state.peer_certificate_sha256 in {b"", _peer_sha256(carriage)}
    )


def _is_good(state: TicketState, wall: float) -> bool:
    """Whether what is behind a ticket has not come to its end."""
    return wall >= state.verified_at - _CLOCK_SLACK_SECONDS and state.seconds_left(wall) > 0


def _is_promise_kept(promised: int, now: int) -> bool:
    """Whether the client will take our ServerParams tag 6: not weaker than in its full handshake."""
    return promised == 0 or 0 < now <= promised


def _peer_sha256(carriage: Carriage) -> bytes:
    certificate = carriage.peer_certificate
    return b"" if certificate is None else hashlib.sha256(certificate).digest()


def state_of_full_handshake(  # noqa: PLR0913  what a ticket is bound to
    place: Place,
    certificate: ServedCertificate,
    identity: Identity,
    *,
    kind: int,
    reauthenticate_every: int,
    wall: float,
) -> TicketState:
    """What the tickets of a session say that began with signatures, under `certificate`.

    `kind` is that of the credential shown.
    """
    carriage = place.carriage
    return TicketState(
        psk=Secret.blank("psk", _NO_PSK_BYTES),
        suite=place.suite,
        binding_type=place.binding_type,
        authority=carriage.authority.lower(),
        path=carriage.path,
        anchor_id=certificate.anchor_id,
        certificate_sha384=certificate.sha384,
        certificate_not_after=certificate.decoded.fields.not_after,
        identity=identity,
        peer_certificate_sha256=_peer_sha256(carriage) if kind == CredentialKind.OUTER_CERTIFICATE else b"",
        verified_at=wall,
        reauthenticate_every=reauthenticate_every,
    )


class TicketIssuer:
    """Makes a session's tickets, and remembers which certificate its client believes."""

    def __init__(self, tickets: TicketBox | None, state: TicketState) -> None:
        """`state` is what the tickets say; its psk is not looked at."""
        self._tickets = tickets
        self._state = state

    @property
    def anchor_id(self) -> bytes:
        """The anchor that the session began under: a certificate of another one is never sent."""
        return self._state.anchor_id

    def believe(self, certificate: ServedCertificate) -> bytes | None:
        """Take it that the client believes `certificate` from now on; gives what is to be sent for that.

        None where it is the one that the client has: from the handshake, a step before or its ticket.
        """
        if self._state.certificate_sha384 == certificate.sha384:
            return None
        self._state = msgspec.structs.replace(
            self._state,
            certificate_sha384=certificate.sha384,
            certificate_not_after=certificate.decoded.fields.not_after,
        )
        return certificate.encoded

    def issue(self, resumption: Secret, wall: float) -> bytes | None:
        """Make a NewTicket message whose psk is res[e], and wipe that; None where no ticket is to be had."""
        with resumption:
            left = self._state.seconds_left(wall)
            if self._tickets is None:
                return None
            sealed = self._tickets.seal(msgspec.structs.replace(self._state, psk=resumption), wall)
        if sealed is None or len(sealed.ticket) > MAX_TICKET_BYTES:
            return None
        lifetime = min(sealed.lifetime_seconds, int(left), MAX_TICKET_SECONDS)
        return NewTicket(lifetime, sealed.ticket).encode() if lifetime > 0 else None
