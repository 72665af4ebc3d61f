"""The parts of a call that are not on a frame's path: errands, the heartbeat, what a backend is told."""

from sottovoce.edge.call.backend import NO_LEG, call_end, call_start, pass_on
from sottovoce.edge.call.errands import Errands
from sottovoce.edge.call.heartbeat import Beat, Heartbeat

__all__ = ["NO_LEG", "Beat", "Errands", "Heartbeat", "call_end", "call_start", "pass_on"]
