"""TLS with a WebSocket in it, seen from the client: bytes of the network on one side, messages on the other.

No input or output, no clock, and no knowledge of voice but the subprotocol's name.  Not here: what messages mean, and
how long anything may take (`machine`).
"""

from collections.abc import Sequence
from typing import Final

from sottovoce.client.address import Address
from sottovoce.transport import ClientWebSocket, Records, TlsContext, TlsCore, TlsError, WsEvent
from sottovoce.wire import MAX_TRANSPORT_MESSAGE_BYTES

SUBPROTOCOL: Final = "sottovoce.v1"
_STUFFED_BYTES: Final = 1_048_576

ChannelEvent = WsEvent | TlsError
"""What a WebSocket tells, or the fault that TLS ended with, as a value: what came before it is not lost."""


class Channel:
    """One connection.  After every call write what `to_send` gives; a channel that `is_over` gives its last bytes."""

    def __init__(self, address: Address, context: TlsContext) -> None:
        self._tls = TlsCore(context)
        self._websocket = ClientWebSocket(
            address.authority, address.target, max_message_bytes=MAX_TRANSPORT_MESSAGE_BYTES, subprotocol=SUBPROTOCOL
        )
        self._output = b""
        self._tls_may_owe = True  # it has begun to shake hands
        self._records: Records | None = None  # behind the handshake
        self._is_asked = False
        self._is_mute = False
        self.is_over = False
        """Nothing more is read or written."""

    @property
    def is_encrypted(self) -> bool:
        """Whether the TLS handshake is done."""
        return self._tls.handshake_complete

    @property
    def tls_group(self) -> str:
        """The key agreement group of the TLS handshake."""
        return self._tls.group

    @property
    def exporter(self) -> bytes:
        """The channel binding of RFC 9266."""
        return self._tls.exporter()

    def receive(self, data: bytes) -> Sequence[ChannelEvent]:
        """Take bytes from the network and give what they complete.  Nothing that a peer sends makes it raise."""
        if self.is_over:
            return []
        websocket, records = self._websocket, self._records
        if records is not None and websocket.is_open and records.failure is None:
            plaintext = records.receive_record(data)
            if plaintext is not None:
                message = websocket.receive_message(plaintext)
                return websocket.receive(plaintext) if message is None else (message,)
            data = b""  # TLS has them
        self._tls_may_owe = True
        try:
            plaintext = self._tls.receive(data)
        except TlsError as error:
            return [error]
        if not self._tls.handshake_complete:
            return []
        if not self._is_asked:
            self._is_asked = True
            self._records = self._tls.records
            self._websocket.request()
        events: list[ChannelEvent] = list(self._websocket.receive(plaintext)) if plaintext else []
        if self._tls.failure is not None:
            events.append(self._tls.failure)
        elif self._tls.closed_by_peer:
            events += self._websocket.receive_eof()
        return events

    def send(self, message: bytes) -> None:
        """Queue a binary message.  Where the WebSocket is closing it goes nowhere: the end is on its way to us."""
        if self._websocket.is_open:
            self._websocket.send_binary(message)

    def close(self, code: int) -> bool:
        """Begin the WebSocket's closing handshake; false if there is none, so that nothing is to be waited for."""
        if not self._websocket.is_open:
            return False
        self._websocket.close(code)
        return True

    def end(self) -> None:
        """Say close_notify, behind all that is queued, and be over."""
        if not self.is_over:
            self._encrypt()
            self._tls.close()
            self._tls_may_owe = True
            self.is_over = True

    def mute(self) -> None:
        """Write nothing from here on: a write has failed, and whatever followed would stand behind half a record."""
        self._is_mute = True
        self._output = b""

    @property
    def has_output(self) -> bool:
        """Whether `to_send` would give something."""
        self._encrypt()
        return bool(self._output)

    @property
    def is_stuffed(self) -> bool:
        """Whether more waits to leave than anything but answers to pings, which the server does not read, could be."""
        self._encrypt()
        return len(self._output) > _STUFFED_BYTES

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        records, websocket = self._records, self._websocket
        is_held_up = self._output or self._is_mute or self.is_over
        if records is not None and websocket.outgoing and records.failure is None and not is_held_up:
            self._tls_may_owe = False
            return records.seal(websocket.to_send())
        self._encrypt()
        data, self._output = self._output, b""
        return data

    def _encrypt(self) -> None:
        if self._websocket.outgoing and self._tls.failure is None and not self.is_over:
            data = self._tls.seal(self._websocket.to_send())
        elif self._tls_may_owe:
            data = self._tls.to_send()
        else:
            return
        self._tls_may_owe = False
        if not self._is_mute:
            self._output += data
