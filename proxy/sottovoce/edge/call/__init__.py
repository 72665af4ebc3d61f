"""The parts of a call that are not on a frame's path: errands, the pen, what a backend is told."""

from sottovoce.edge.call.backend import NO_LEG, call_counts, call_end, call_start, pass_on
from sottovoce.edge.call.errands import Errands
from sottovoce.edge.call.pen import Pen

__all__ = ["NO_LEG", "Errands", "Pen", "call_counts", "call_end", "call_start", "pass_on"]
