"""What becomes of ticket keys, for the log and the audit log.  Pure.  `key` is a key's id in hexadecimal: no secret."""

import msgspec


class TicketKeyReplaced(msgspec.Struct, frozen=True, tag="ticket_key_replaced"):
    """A new key seals tickets from now on."""

    key: str


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
