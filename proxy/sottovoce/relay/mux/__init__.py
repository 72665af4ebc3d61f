"""The adapter `mux`: many calls over one framed connection to a backend (docs/backend-mux.md).

`frames` has the layouts, `leg` and `machine` what happens, both pure; `connection` and `route` are their shells.
"""

from sottovoce.relay.mux.address import parse_mux_url
from sottovoce.relay.mux.route import Backend, MuxRoute

__all__ = ["Backend", "MuxRoute", "parse_mux_url"]
