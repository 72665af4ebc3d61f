"""The head of an HTTP/1.1 message: where it ends, and which targets and hosts may stand in it.

`websockets`' core would take 1 MiB of headers and then go on to frames before anybody has accepted the upgrade; so the
head is cut off here, within our own limit, and the core is given all of it and nothing else.
"""

import re
from typing import Final

from sottovoce.transport.limits import UPGRADE_BYTES

_END: Final = b"\r\n\r\n"

is_target = re.compile(rb"/[!-\"$-~]*").fullmatch
"""Whether it is a request target in origin form (RFC 9112 §3.2.1): nothing absolute, no fragment, no space."""

is_authority = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?").fullmatch
"""Whether it is a name or address with at most a port: what a Host header may say."""


class HeadTooLargeError(Exception):
    """The head did not end within `UPGRADE_BYTES`."""


class HeadBuffer:
    """Collects a head that comes in pieces."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def add(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Give the whole head and what came behind it; None while it is not whole.

        Raises `HeadTooLargeError`, of which the peer is told before it has sent the rest.
        """
        start = max(0, len(self._buffer) - len(_END) + 1)
        self._buffer += data
        end = self._buffer.find(_END, start, UPGRADE_BYTES)
        if end < 0:
            if len(self._buffer) > UPGRADE_BYTES:
                raise HeadTooLargeError
            return None
        end += len(_END)
        return bytes(self._buffer[:end]), bytes(self._buffer[end:])
