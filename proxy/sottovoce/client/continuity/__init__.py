"""What makes a call last: tickets for the next one, and when to make it.  Pure."""

from sottovoce.client.continuity.retry import STABLE_SECONDS, Backoff, may_pass
from sottovoce.client.continuity.tickets import TicketStore

__all__ = ["STABLE_SECONDS", "Backoff", "TicketStore", "may_pass"]
