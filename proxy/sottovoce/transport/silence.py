"""Lets TCP itself find a peer that has gone, which costs no timer of ours."""

import socket
from typing import Protocol

_PROBES = 3


class TcpSocket(Protocol):
    """Of a socket, whichever event loop has it, as much as is needed here."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option.  Raises OSError."""


def limit_silence(stream: TcpSocket, seconds: int) -> None:
    """Have a connection break once its peer was silent for so long.

    Keep-alive probes while nothing is sent, TCP_USER_TIMEOUT (RFC 5482) while something is, also when the peer answers
    but never makes room.  Raises OSError for a connection that is over.
    """
    probe_seconds = max(1, seconds // (_PROBES + 1))
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, seconds - _PROBES * probe_seconds)),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, probe_seconds),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * seconds),
    ):
        stream.setsockopt(level, option, value)
