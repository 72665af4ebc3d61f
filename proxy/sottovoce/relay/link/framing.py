"""How messages stand in a backend's stream of bytes.  Pure.

WebSocket is one way (`transport.ClientWebSocket`), AudioSocket's three-byte header another.  A framing speaks of what
comes in WebSocket's events and closes with its codes (RFC 6455 §7.4.1): where it has none itself, 1000 is a hang-up
and anything else a fault.
"""

from collections.abc import Sized
from typing import Protocol

from sottovoce.transport import WsEvent


class Framing(Protocol):
    """One connection's messages both ways.  After every call, `to_send` gives what the network should carry."""

    @property
    def outgoing(self) -> Sized:
        """What `to_send` will give, to see whether there is any."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent: neither side has closed or failed."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be read or written but what `to_send` still holds."""
        ...

    def receive(self, data: bytes) -> list[WsEvent]:
        """Take bytes from the network and give what they complete.  Nothing that a peer sends makes it raise."""
        ...

    def receive_message(self, data: bytes) -> bytes | None:
        """Take one whole binary message that stands by itself; None: nothing was taken, and `receive` has to."""
        ...

    def receive_eof(self) -> list[WsEvent]:
        """Say that the network has no more bytes: a `PeerClosed`, where that is a way to close, or a `WsFailed`."""
        ...

    def send_binary(self, message: bytes) -> None:
        """Queue a binary message."""
        ...

    def send_text(self, message: str) -> None:
        """Queue a text."""
        ...

    def close(self, code: int) -> None:
        """Queue the end."""
        ...

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        ...
