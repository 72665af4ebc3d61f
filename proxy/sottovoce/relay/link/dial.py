"""Connecting to a backend: a byte stream, the WebSocket upgrade over it, again a few times.

Not here: how the stream is opened (`network`); it is handed in, so that tests dial through memory.  One attempt has one
timeout for everything.  What the backend sends right behind its upgrade response is kept (`Link.early`).
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio

from sottovoce.primitives import one_line
from sottovoce.relay.errors import BackendDown, BackendFault
from sottovoce.relay.link.address import BackendAddress
from sottovoce.transport import ClientWebSocket, TlsError, UpgradeAccepted, WsEvent, WsFailed

RECEIVE_BYTES = 4_096
"""Read at once; small, so that a backend in full flood leaves the other calls their turn: 2 048 empty messages or pings
cost 8 ms."""
MAX_MESSAGE_BYTES = 16_384
"""The largest message taken from a backend, whole or in fragments, unless its adapter says otherwise."""
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0

OpenStream = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the backend, TLS included.  Raises OSError, trio.BrokenResourceError or TlsError."""


class Link(NamedTuple):
    """An open WebSocket to a backend, before anybody has read from it."""

    stream: trio.abc.Stream
    websocket: ClientWebSocket
    early: list[WsEvent]
    """What came with the upgrade response."""


class Dialer:
    """Opens links to one backend."""

    def __init__(
        self,
        address: BackendAddress,
        open_stream: OpenStream,
        *,
        attempts: int,
        timeout_seconds: float,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """`timeout_seconds` is for one attempt."""
        self._max_message_bytes = max_message_bytes
        self._address = address
        self._open_stream = open_stream
        self._attempts = attempts
        self._timeout_seconds = timeout_seconds

    async def dial(self) -> Link:
        """Open a link.  Raises BackendDown, the last attempt's; a cancelled or failed one leaves no socket."""
        pause_seconds = FIRST_PAUSE_SECONDS
        attempts_left = self._attempts
        while True:
            try:
                return await self._attempt()
            except BackendDown:
                attempts_left -= 1
                if attempts_left <= 0:
                    raise
            await trio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, MAX_PAUSE_SECONDS)

    async def _attempt(self) -> Link:
        try:
            with trio.fail_after(self._timeout_seconds):
                stream = await self._open_stream()
                try:
                    return await self._upgrade(stream)
                except BaseException:
                    await trio.aclose_forcefully(stream)
                    raise
        except trio.TooSlowError:
            raise self._unreachable(f"no answer in {self._timeout_seconds:g} s") from None
        except (OSError, trio.BrokenResourceError, TlsError) as error:
            raise self._unreachable(one_line(str(error)) or "the connection broke") from error

    async def _upgrade(self, stream: trio.abc.Stream) -> Link:
        websocket = ClientWebSocket(
            self._address.authority, self._address.target, max_message_bytes=self._max_message_bytes
        )
        websocket.request()
        await stream.send_all(websocket.to_send())
        while True:
            data = await stream.receive_some(RECEIVE_BYTES)
            if not data:
                raise self._unreachable("it closed the connection instead of answering")
            events = websocket.receive(bytes(data))
            match events:
                case [UpgradeAccepted(), *early]:
                    return Link(stream, websocket, early)
                case [WsFailed(reason=reason), *_]:
                    raise BackendDown(BackendFault.REFUSED, f"{self._address.authority}: {one_line(reason)}")
                case _:
                    pass

    def _unreachable(self, detail: str) -> BackendDown:
        return BackendDown(BackendFault.UNREACHABLE, f"{self._address.authority}: {detail}")
