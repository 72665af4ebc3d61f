"""Byte streams to a backend: TCP with a limit on silence, TLS 1.3 over it where the URL says so, or a local socket."""

import os
from typing import cast

import trio

from sottovoce.relay.link.address import TCP, UNIX, WEBSOCKET, BackendAddress, is_loopback_ip
from sottovoce.transport import TlsContext, TlsStream, limit_silence


async def open_network_stream(
    address: BackendAddress, tls: TlsContext | None, *, silence_seconds: int, loopback_only: bool
) -> trio.abc.Stream:
    """Open a stream.  Raises OSError, trio.BrokenResourceError or TlsError; then nothing is left open.

    With `loopback_only` a name that leads anywhere else is refused before a byte is sent.
    """
    if address.scheme == UNIX:
        try:
            return await trio.open_unix_socket(address.target)
        except OSError as error:
            raise OSError(_cause(error)) from error
    stream = await _open_tcp(address)
    try:
        if loopback_only:
            _refuse_other_machines(address, stream.socket.getpeername()[0])
        limit_silence(stream, silence_seconds)
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


def _refuse_other_machines(address: BackendAddress, peer: str) -> None:
    if not is_loopback_ip(peer):
        secure = WEBSOCKET.secure if address.scheme == WEBSOCKET.plain else TCP.secure
        raise OSError(f"{address.host} leads to {peer}, which is not this machine: write a {secure}:// url")
