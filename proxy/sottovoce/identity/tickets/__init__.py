"""Tickets, the server's side: what is sealed in them, the keys they are sealed under, and which were used."""

from sottovoce.identity.tickets.events import (
    TicketKeyErased,
    TicketKeyEvent,
    TicketKeyFailed,
    TicketKeyReplaced,
    TicketOutcome,
)
from sottovoce.identity.tickets.handlers import ticket_handlers
from sottovoce.identity.tickets.keys import TicketKeys, prove_ticket_key
from sottovoce.identity.tickets.operations import (
    NEW_TICKET_KEY,
    OPEN_TICKET_KEY,
    LivingTicketKey,
    NewTicketKey,
    OpenedTicketKey,
    OpenTicketKey,
    WrappedTicketKey,
)
from sottovoce.identity.tickets.shared import SharedRecords
from sottovoce.identity.tickets.tickets import Tickets
from sottovoce.identity.tickets.used import NoRecord, RecordsHere, TicketRecords, UsedTickets

__all__ = [
    "NEW_TICKET_KEY",
    "OPEN_TICKET_KEY",
    "LivingTicketKey",
    "NewTicketKey",
    "NoRecord",
    "OpenTicketKey",
    "OpenedTicketKey",
    "RecordsHere",
    "SharedRecords",
    "TicketKeyErased",
    "TicketKeyEvent",
    "TicketKeyFailed",
    "TicketKeyReplaced",
    "TicketKeys",
    "TicketOutcome",
    "TicketRecords",
    "Tickets",
    "UsedTickets",
    "WrappedTicketKey",
    "prove_ticket_key",
    "ticket_handlers",
]
