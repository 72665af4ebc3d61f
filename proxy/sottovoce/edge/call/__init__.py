"""The parts of a call: its connection, its errands, what its backend is told."""

from sottovoce.edge.call.backend import NO_LEG, call_counts, call_end, call_start, pass_on
from sottovoce.edge.call.carrier import MAX_REPLY_BYTES, Carrier
from sottovoce.edge.call.dues import Dues
from sottovoce.edge.call.errands import Errands, still_holds
from sottovoce.edge.call.outlet import Outlet
from sottovoce.edge.call.vigil import SILENCE_SECONDS, Vigil

__all__ = [
    "MAX_REPLY_BYTES",
    "NO_LEG",
    "SILENCE_SECONDS",
    "Carrier",
    "Dues",
    "Errands",
    "Outlet",
    "Vigil",
    "call_counts",
    "call_end",
    "call_start",
    "pass_on",
    "still_holds",
]
