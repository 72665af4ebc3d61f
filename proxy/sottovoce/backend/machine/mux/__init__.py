"""The backend's machine for `mux`: many calls on one connection, without input or output (docs/backend-mux.md).

A shell drives it as it drives a `CallMachine`, and finds in `take_begun` the calls to hold.
"""

from sottovoce.backend.machine.mux.call import MuxCall
from sottovoce.backend.machine.mux.connection import MuxMachine

__all__ = ["MuxCall", "MuxMachine"]
