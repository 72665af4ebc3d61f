"""Tickets, the server's side: what is sealed in them, the keys they are sealed under, and which were used."""

from sottovoce.identity.tickets.events import (
    TicketKeyErased,
    TicketKeyEvent,
    TicketKeyFailed,
    TicketKeyReplaced,
    TicketOutcome,
)
from sottovoce.identity.tickets.handlers import ticket_handlers
from sottovoce.identity.tickets.operations import (
    NEW_TICKET_KEY,
    OPEN_TICKET_KEY,
    NewTicketKey,
    OpenedTicketKey,
    OpenTicketKey,
    WrappedTicketKey,
)
from sottovoce.identity.tickets.tickets import Tickets

__all__ = [
    "NEW_TICKET_KEY",
    "OPEN_TICKET_KEY",
    "NewTicketKey",
    "OpenTicketKey",
    "OpenedTicketKey",
    "TicketKeyErased",
    "TicketKeyEvent",
    "TicketKeyFailed",
    "TicketKeyReplaced",
    "TicketOutcome",
    "Tickets",
    "WrappedTicketKey",
    "ticket_handlers",
]
