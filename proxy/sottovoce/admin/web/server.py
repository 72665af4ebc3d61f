"""Carries an ASGI application on a socket that listens already.  The only home of hypercorn.

Of hypercorn the protocol of one connection is used (`TCPServer`), not its worker: connections are accepted here, so
that there is a bound on their number, on their length, and on how long one may take its answer.  Each carries one
request.  That bounds what hypercorn itself does not: it shields what it writes from cancellation, so whoever reads
nothing would keep the whole proxy from ending (test_server.py proves that he does not).

hypercorn writes no log of its own: it has neither an access log nor an error log here.
"""

from collections.abc import Callable
from typing import NoReturn, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState, LifespanState
from starlette.types import ASGIApp

MAX_CONNECTIONS = 32
"""At once; further ones are closed."""
CONNECTION_SECONDS = 10.0
"""For a request and its answer."""
_MAX_HEAD_BYTES = 8_192


async def serve_application(
    listener: trio.SocketListener, application: ASGIApp, crashed: Callable[[BaseException], None]
) -> NoReturn:
    """Serve until cancelled; nothing is left open then.  `crashed` is told of a bug that ended one connection."""
    app: AppWrapper = ASGIWrapper(cast("ASGIFramework", application))
    config, context = _config(), WorkerContext(None)
    carried: set[_Connection] = set()

    async def handle(stream: trio.SocketStream) -> None:
        if len(carried) >= MAX_CONNECTIONS:
            return
        connection = _Connection(stream, trio.current_time() + CONNECTION_SECONDS)
        carried.add(connection)
        try:
            with trio.move_on_at(connection.until):
                state = ConnectionState(LifespanState({}))
                await TCPServer(app, config, context, state, cast("trio.SSLStream[trio.SocketStream]", connection))
        except* Exception as crash:  # noqa: BLE001  one connection ends
            crashed(crash)
        finally:
            carried.discard(connection)

    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(_hang_up_at_the_end, carried)
        await trio.serve_listeners(handle, [listener], handler_nursery=nursery)
    raise AssertionError  # pragma: no cover  serving ends by being cancelled


def _config() -> Config:
    config = Config()
    config.accesslog = config.errorlog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = _MAX_HEAD_BYTES
    config.keep_alive_timeout = CONNECTION_SECONDS
    config.keep_alive_max_requests = 0  # each answer says "Connection: close"
    return config


async def _hang_up_at_the_end(carried: "set[_Connection]") -> None:
    """Close what is open when everything ends: a write that is shielded from cancellation ends by that."""
    try:
        await trio.sleep_forever()
    finally:
        for connection in carried:
            connection.socket.close()


class _Connection:
    """A stream as hypercorn uses one, on which a write ends when the connection's time is over."""

    def __init__(self, stream: trio.SocketStream, until: float) -> None:
        self.socket = stream.socket
        self.until = until
        self._stream = stream

    async def receive_some(self, max_bytes: int) -> bytes:
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes) -> None:
        with trio.move_on_at(self.until) as limit:
            try:
                await self._stream.send_all(data)
            except trio.BusyResourceError:  # it is being closed: more came behind the one request
                raise trio.BrokenResourceError from None
        if limit.cancelled_caught:
            self.socket.close()
            raise trio.BrokenResourceError("it takes too long to read its answer")

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()
