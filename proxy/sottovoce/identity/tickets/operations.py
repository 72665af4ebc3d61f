"""What the proxy asks its token process about ticket keys.  Pure.

A key is made in one step and opened in another, so that the wrapped form can be given to whoever has the token and is
to seal and open the same tickets.
"""

import msgspec

from sottovoce.hsm import Operation, WrappedKey
from sottovoce.primitives import Secret

TICKET_PURPOSE = "ticket"


class NewTicketKey(msgspec.Struct, frozen=True):
    """Have a key made."""


class WrappedTicketKey(msgspec.Struct, frozen=True):
    """The key under the token's KEK."""

    wrapped: WrappedKey


class OpenTicketKey(msgspec.Struct, frozen=True):
    """Have a key opened."""

    wrapped: WrappedKey


class OpenedTicketKey(msgspec.Struct, frozen=True):
    """The key itself; its reader wipes it."""

    key: Secret


NEW_TICKET_KEY = Operation("new_ticket_key", NewTicketKey, WrappedTicketKey)
OPEN_TICKET_KEY = Operation("open_ticket_key", OpenTicketKey, OpenedTicketKey)
