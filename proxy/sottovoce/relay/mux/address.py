"""Where a mux backend listens: `tcp://HOST:PORT`, `tls://HOST:PORT` or `unix:/PATH`.  Pure."""

import re
from typing import Final

from sottovoce.relay.link import TCP, UNIX, BackendAddress, parse_url

_WRITE: Final = "write unix:/PATH, or tcp://HOST:PORT or tls://HOST:PORT"
_PATH: Final = re.compile(r"unix:(?://)?(/[^/\0-\x20\x7f][^\0-\x20\x7f]*)")
_MAX_PATH_BYTES: Final = 107
"""Of a socket's path (unix(7): sun_path has 108, a zero at the end)."""


def parse_mux_url(url: str) -> BackendAddress:
    """Take a backend's URL apart; a path has no spaces.  Raises ValueError whose text says what to write instead."""
    if not url.startswith(f"{UNIX}:"):
        return parse_url(url, TCP)
    found = _PATH.fullmatch(url)
    if found is None:
        raise ValueError(f"names no socket; {_WRITE}")
    if len(found[1].encode()) > _MAX_PATH_BYTES:
        raise ValueError(f"is too long, a socket's path has at most {_MAX_PATH_BYTES} bytes; {_WRITE}")
    return BackendAddress(scheme=UNIX, host="", port=0, target=found[1])
