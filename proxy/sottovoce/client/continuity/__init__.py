"""What makes a call last: pings on a silent connection, tickets for the next one, and when to make it.  Pure."""

from sottovoce.client.continuity.heartbeat import Beat, Heartbeat
from sottovoce.client.continuity.retry import STABLE_SECONDS, Backoff, may_pass
from sottovoce.client.continuity.tickets import TicketStore

__all__ = ["STABLE_SECONDS", "Backoff", "Beat", "Heartbeat", "TicketStore", "may_pass"]
