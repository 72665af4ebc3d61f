"""What the proxy asks its token process about ticket keys, and what its processes tell each other of them.  Pure.

A key is made in one step and opened in another, so that the wrapped form can be given to whoever has the token and is
to seal and open the same tickets.
"""

import msgspec

from sottovoce.hsm import Operation, WrappedKey
from sottovoce.identity.tickets.layout import KEY_ID_BYTES
from sottovoce.primitives import Secret

TICKET_PURPOSE = "ticket"


class LivingTicketKey(msgspec.Struct, frozen=True):
    """A key as whoever made it tells the processes that are to use it: wrapped, so it is no secret.

    Times are on the clock that nobody sets, the same for all processes of a machine.
    """

    wrapped: WrappedKey
    node: str
    """Whose token opens it."""
    place: int
    """Of its record of used tickets."""
    seals_from: float
    """Until then all who are told can have opened it; the key before it seals meanwhile."""
    seals_until: float

    @property
    def id(self) -> bytes:
        """What tickets name it by: of its random serial, which is authenticated with it."""
        return self.wrapped.serial[:KEY_ID_BYTES]

    def may_seal(self, now: float) -> bool:
        """Whether it is of the age to seal tickets."""
        return self.seals_from <= now < self.seals_until


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
