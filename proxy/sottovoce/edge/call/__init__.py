"""The parts of a call: its connection, its errands, what its backend is told."""

from sottovoce.edge.call.backend import NO_LEG, call_counts, call_end, call_start, pass_on
from sottovoce.edge.call.bell import Bell
from sottovoce.edge.call.dues import Dues
from sottovoce.edge.call.ending import Ending
from sottovoce.edge.call.errands import Errands, still_holds
from sottovoce.edge.call.sink import ClientSink
from sottovoce.edge.call.vigil import SILENCE_SECONDS, Vigil

__all__ = [
    "NO_LEG",
    "SILENCE_SECONDS",
    "Bell",
    "ClientSink",
    "Dues",
    "Ending",
    "Errands",
    "Vigil",
    "call_counts",
    "call_end",
    "call_start",
    "pass_on",
    "still_holds",
]
