"""A WebSocket, in TLS where that is wanted: bytes of the network on one side, messages on the other.

No input or output, no clock.  Which requests are served is decided here: any path, since the route's URL chooses it,
without a subprotocol.  A request with an Origin comes from a web page, which no proxy is: a page that a developer looks
at must not reach the backend on the same machine.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from sottovoce.transport import ServerWebSocket, TlsContext, TlsCore, TlsError, UpgradeRequest, WsEvent, WsFailed

MAX_MESSAGE_BYTES: Final = 65_536
"""Four times what the contract lets a proxy say at once."""


class Channel:
    """One connection.  After every call write what `to_send` gives; a channel that `is_over` gives its last bytes."""

    def __init__(self, context: TlsContext | None, is_busy: Callable[[], bool]) -> None:
        """`is_busy` tells, once a call is asked for, whether to refuse it, as there are as many as there may be."""
        self._tls = None if context is None else TlsCore(context)
        self._websocket = ServerWebSocket(max_message_bytes=MAX_MESSAGE_BYTES)
        self._is_busy = is_busy
        self._output = b""
        self.is_accepted = False
        """A call was asked for, and not refused."""
        self.is_over = False
        """Nothing more is read or written, beside what `to_send` still gives."""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._websocket.is_open

    def receive(self, data: bytes) -> list[WsEvent]:
        """Take bytes from the network and give what they complete.  Nothing that a peer sends makes it raise."""
        if self.is_over:
            return []
        if self._tls is None:
            return self._read(data)
        try:
            plaintext = self._tls.receive(data)
        except TlsError as error:
            return [WsFailed(f"TLS: {error}")]
        events = self._read(plaintext) if plaintext else []
        if self._tls.failure is not None:
            events.append(WsFailed(f"TLS: {self._tls.failure}"))
        elif self._tls.closed_by_peer:
            events += self._websocket.receive_eof()
        return events

    def send(self, message: bytes | str) -> None:
        """Queue a message.  Raises WebSocketClosed."""
        if isinstance(message, str):
            self._websocket.send_text(message)
        else:
            self._websocket.send_binary(message)

    def close(self, code: int) -> bool:
        """Begin the WebSocket's closing handshake; false if there is none, so that nothing is to be waited for."""
        if not self._websocket.is_open:
            return False
        self._websocket.close(code)
        return True

    def end(self) -> None:
        """Be over, behind all that is queued."""
        if not self.is_over:
            self._encrypt()
            if self._tls is not None:
                self._tls.close()
                self._output += self._tls.to_send()
                self._tls.release()
            self.is_over = True

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        self._encrypt()
        data, self._output = self._output, b""
        return data

    def _read(self, data: bytes) -> list[WsEvent]:
        events = self._websocket.receive(data)
        match events:
            case [UpgradeRequest() as request]:
                return self._answer(request)
            case _:
                return events

    def _answer(self, request: UpgradeRequest) -> list[WsEvent]:
        if request.origin is not None:
            status, why = HTTPStatus.FORBIDDEN, "this is a backend for a proxy, not for a web page"
        elif self._is_busy():
            status, why = HTTPStatus.SERVICE_UNAVAILABLE, "there are as many calls as there may be"
        else:
            self._websocket.accept(None)
            self.is_accepted = True
            return []
        self._websocket.refuse(status, why)
        return [WsFailed(why, status)]

    def _encrypt(self) -> None:
        data = b"" if self.is_over else self._websocket.to_send()
        if self._tls is None:
            self._output += data
            return
        if data and self._tls.failure is None and self._tls.handshake_complete:
            self._tls.send(data)
        self._output += self._tls.to_send()
