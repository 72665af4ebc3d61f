"""The parts of a call: its connection, its errands, what its backend is told."""

from sottovoce.edge.call.backend import NO_LEG, call_counts, call_end, call_start, pass_on
from sottovoce.edge.call.carrier import MAX_REPLY_BYTES, Carrier
from sottovoce.edge.call.errands import Errands

__all__ = ["MAX_REPLY_BYTES", "NO_LEG", "Carrier", "Errands", "call_counts", "call_end", "call_start", "pass_on"]
