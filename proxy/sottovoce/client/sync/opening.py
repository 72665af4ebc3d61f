"""From settings to a call that is open, with blocking sockets: the connection, the machine, the thread."""

import socket
import time
from collections.abc import Callable

from sottovoce.client.address import Address
from sottovoce.client.errors import dial_failure, dial_timeout
from sottovoce.client.settings import CallSettings
from sottovoce.client.shell import new_machine
from sottovoce.client.sync.link import Link
from sottovoce.transport import HANDSHAKE_SECONDS, Clock
from sottovoce.wire import Code

Dial = Callable[[Address], socket.socket]
"""Gives a new connection to an address.  Raises CallError."""

_SHORTEST_ATTEMPT_SECONDS = 0.5
_Found = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]


def open_call(settings: CallSettings, clock: Clock, dial: Dial) -> Link:
    """Make a call.  Raises CallError if none comes about; nothing is left of it then, as after Ctrl-C."""
    connect_by = clock.now() + HANDSHAKE_SECONDS
    try:
        sock = dial(settings.address)
    except BaseException:
        settings.wipe_token()
        raise
    link = Link(new_machine(settings, clock, connect_by), sock, clock)
    try:
        link.start()
    except BaseException:
        link.close(Code.GOING_AWAY)
        raise
    if link.failure is not None:
        link.close(Code.NORMAL)
        raise link.failure
    return link


def dial_tcp(address: Address) -> socket.socket:
    """Look the name up, for as long as the system takes, and try its addresses one after the other."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise dial_failure(error, str(address)) from None
    until = time.monotonic() + HANDSHAKE_SECONDS
    failure = dial_timeout(str(address))
    for left, one in zip(range(len(found), 0, -1), found, strict=True):
        try:
            return _connected(one, max((until - time.monotonic()) / left, _SHORTEST_ATTEMPT_SECONDS))
        except TimeoutError:
            continue
        except OSError as error:
            failure = dial_failure(error, str(address))
    raise failure


def _connected(one: _Found, seconds: float) -> socket.socket:
    family, kind, protocol, _, where = one
    sock = _Socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.connect(where)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


class _Socket(socket.socket):
    """One that is closed without a warning where Ctrl-C strikes before somebody holds it."""

    def __del__(self) -> None:
        self.close()
