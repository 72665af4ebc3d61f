"""Who is at the other end of a Unix socket, by the kernel's word."""

import socket
import struct
from typing import Protocol

_CREDENTIALS = struct.Struct("3i")


class _Options(Protocol):
    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


def user_of(connection: _Options) -> int:
    """Give the user who connected, or listens there: as that was when it began."""
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)
