"""The client's judgement of its own ticket, before it is offered (protocol §6): the server's limits, held here too."""

from typing import NamedTuple

from sottovoce.session.config import Carriage, ClientConfig
from sottovoce.session.tickets import MAX_TICKET_CHAIN_SECONDS, ClientTicket
from sottovoce.session.trust import (
    CertificateRefused,
    VoiceCertificate,
    decode_certificate_untrusted,
    host_of,
    verify_certificate,
)
from sottovoce.wire import WireError


class Offer(NamedTuple):
    """A ticket that is offered, and the certificate behind it."""

    ticket: ClientTicket
    certificate: VoiceCertificate


def usable_ticket(config: ClientConfig, carriage: Carriage, now: float, wall: float) -> Offer | None:
    """Give the configured ticket and its certificate if it may be offered here and now; else erase it.

    The share goes to the group of the preferred suite all the same: a ticket does not change what is offered.
    """
    ticket = config.ticket
    if ticket is None:
        return None
    certificate = _certificate_of(ticket, config, carriage, wall) if _fits(ticket, config, carriage, now) else None
    if certificate is None:
        ticket.erase()
        return None
    return Offer(ticket, certificate)


def _fits(ticket: ClientTicket, config: ClientConfig, carriage: Carriage, now: float) -> bool:
    return (
        (ticket.authority.lower(), ticket.path) == (carriage.authority.lower(), carriage.path)
        and ticket.binding_type == carriage.binding_type
        and ticket.suite in config.suites
        and now < ticket.expires_at
        and 0 <= now - ticket.verified_at < MAX_TICKET_CHAIN_SECONDS
        and not ticket.psk.is_wiped
    )


def _certificate_of(
    ticket: ClientTicket, config: ClientConfig, carriage: Carriage, wall: float
) -> VoiceCertificate | None:
    """The certificate behind the ticket, if a server could still show it: its anchor is pinned, its dates hold."""
    host = host_of(carriage.authority.decode("latin-1"))
    try:
        certificate = decode_certificate_untrusted(ticket.certificate)
        verify_certificate(certificate, config.anchors, host, wall)
    except (WireError, CertificateRefused):
        return None
    return certificate
