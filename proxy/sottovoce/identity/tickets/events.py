"""What becomes of ticket keys, for the log and the audit log.  Pure.  `key` is a key's id in hexadecimal: no secret."""

from enum import StrEnum

import msgspec


class TicketKeyReplaced(msgspec.Struct, frozen=True, tag="ticket_key_replaced"):
    """A new key seals tickets from now on."""

    key: str
    node: str
    """Who made it."""


class TicketKeyErased(msgspec.Struct, frozen=True, tag="ticket_key_erased"):
    """A key is gone, and with it every ticket that was sealed under it and the record of those that were used."""

    key: str
    sealed: int
    """Tickets that were given out."""
    spent: int
    """Tickets that came back and were honoured."""


class TicketKeyFailed(msgspec.Struct, frozen=True, tag="ticket_key_failed"):
    """No new key could be had; it is tried again.  Said once, and again if tickets cease before there is one."""

    reason: str
    retry_seconds: float
    seals: bool
    """Whether the key in use still seals tickets."""


TicketKeyEvent = TicketKeyReplaced | TicketKeyErased | TicketKeyFailed


class TicketOutcome(StrEnum):
    """What became of a ticket that was wanted or shown."""

    ISSUED = "issued"
    NOT_ISSUED_NO_KEY = "not_issued_no_key"
    NOT_ISSUED_TOO_SHORT = "not_issued_too_short"
    """What is behind it ends too soon, or begins in the future."""
    NOT_ISSUED_TOO_LARGE = "not_issued_too_large"
    USED = "used"
    REFUSED_UNKNOWN = "refused_unknown"
    """No ticket by its form, or of a key that is not here, as after a restart."""
    REFUSED_UNOPENED = "refused_unopened"
    """Forged, or made for another place."""
    REFUSED_EXPIRED = "refused_expired"
    REFUSED_USED_BEFORE = "refused_used_before"
