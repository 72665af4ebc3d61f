"""Byte streams to a backend over the network: TCP with a limit on silence, TLS 1.3 over it for `wss`.

A dead peer is found by TCP itself and costs no timer of ours: keep-alive probes while nothing is sent, TCP_USER_TIMEOUT
(RFC 5482) while something is, also when the peer answers but never makes room.
"""

import os
import socket
from typing import cast

import trio

from sottovoce.relay.link.address import BackendAddress, is_loopback_ip
from sottovoce.transport import TlsContext, TlsStream

_PROBES = 3


async def open_network_stream(
    address: BackendAddress, tls: TlsContext | None, *, silence_seconds: int, loopback_only: bool
) -> trio.abc.Stream:
    """Open a stream.  Raises OSError, trio.BrokenResourceError or TlsError; then nothing is left open.

    With `loopback_only` a name that leads anywhere else is refused before a byte is sent.
    """
    stream = await _open_tcp(address)
    try:
        if loopback_only:
            _refuse_other_machines(address.host, stream.socket.getpeername()[0])
        _limit_silence(stream, silence_seconds)
        if tls is None:
            return stream
        secured = TlsStream(stream, tls)
        await secured.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secured


async def _open_tcp(address: BackendAddress) -> trio.SocketStream:
    """Connect; an error names its causes, where Trio only says that all addresses failed."""
    try:
        return await trio.open_tcp_stream(address.host, address.port)
    except OSError as error:
        group = error.__cause__
        causes = cast("ExceptionGroup[OSError]", group).exceptions if isinstance(group, ExceptionGroup) else (error,)
        raise OSError(", ".join(dict.fromkeys(map(_cause, causes)))) from error


def _cause(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number is not None and number > 0 else str(error)


def _refuse_other_machines(host: str, peer: str) -> None:
    if not is_loopback_ip(peer):
        raise OSError(f"{host} leads to {peer}, which is not this machine: write a wss:// url")


def _limit_silence(stream: trio.SocketStream, seconds: int) -> None:
    probe_seconds = max(1, seconds // (_PROBES + 1))
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, seconds - _PROBES * probe_seconds)),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, probe_seconds),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * seconds),
    ):
        stream.setsockopt(level, option, value)
