"""Connecting to a backend: a byte stream, what opens a framing over it (`WebSocketUpgrade`), again a few times.

Not here: how the stream is opened (`network`); it is handed in, so that tests dial through memory.  One attempt has one
timeout for everything.  What the backend sends right behind its upgrade response is kept (`Link.early`).
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio

from sottovoce.primitives import one_line
from sottovoce.relay.errors import BackendDown, BackendFault
from sottovoce.relay.link.address import BackendAddress
from sottovoce.relay.link.framing import Framing
from sottovoce.transport import ClientWebSocket, TlsError, UpgradeAccepted, WsEvent, WsFailed

RECEIVE_BYTES = 4_096
"""Read at once; small, so that a backend in full flood leaves the other calls their turn: 2 048 empty messages or pings
cost 8 ms."""
MAX_MESSAGE_BYTES = 16_384
"""The largest message taken from a backend, whole or in fragments, unless its adapter says otherwise."""
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0

Headers = tuple[tuple[str, str], ...]
"""Names and values that go with the request for the upgrade, beside WebSocket's own."""
OpenStream = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the backend, TLS included.  Raises OSError, trio.BrokenResourceError or TlsError."""


class Link(NamedTuple):
    """An open connection to a backend, before anybody has read a message from it."""

    stream: trio.abc.Stream
    framing: Framing
    early: list[WsEvent]
    """What came with the upgrade response."""


Begin = Callable[[trio.abc.Stream, BackendAddress], Awaitable[Link]]
"""Opens a framing over a stream that is connected to this address.  Raises BackendDown, trio.BrokenResourceError."""


class WebSocketUpgrade:
    """The `Begin` of a WebSocket."""

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES, headers: Headers = ()) -> None:
        """`headers` may hold a secret: nothing here shows them."""
        self._max_message_bytes = max_message_bytes
        self._headers = headers

    async def __call__(self, stream: trio.abc.Stream, address: BackendAddress) -> Link:
        """Ask for the WebSocket and wait for the answer."""
        websocket = ClientWebSocket(address.authority, address.target, max_message_bytes=self._max_message_bytes)
        websocket.request(self._headers)
        await stream.send_all(websocket.to_send())
        while True:
            data = await stream.receive_some(RECEIVE_BYTES)
            if not data:
                raise _unreachable(address, "it closed the connection instead of answering")
            events = websocket.receive(bytes(data))
            match events:
                case [UpgradeAccepted(), *early]:
                    return Link(stream, websocket, early)
                case [WsFailed(reason=reason), *_]:
                    raise BackendDown(BackendFault.REFUSED, f"{address.authority}: {one_line(reason)}")
                case _:
                    pass


class Dialer:
    """Opens links to one backend."""

    def __init__(
        self,
        address: BackendAddress,
        open_stream: OpenStream,
        *,
        attempts: int,
        timeout_seconds: float,
        begin: Begin | None = None,
    ) -> None:
        """`timeout_seconds` is for one attempt; without `begin`, a WebSocket is opened."""
        self._begin = begin or WebSocketUpgrade()
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
            with trio.move_on_after(self._timeout_seconds):
                stream = await self._open_stream()
                try:
                    return await self._begin(stream, self._address)
                except BaseException:
                    await trio.aclose_forcefully(stream)
                    raise
        except (OSError, trio.BrokenResourceError, TlsError) as error:
            raise _unreachable(self._address, one_line(str(error)) or "the connection broke") from error
        raise _unreachable(self._address, f"no answer in {self._timeout_seconds:g} s")


def _unreachable(address: BackendAddress, detail: str) -> BackendDown:
    return BackendDown(BackendFault.UNREACHABLE, f"{address.authority}: {detail}")
