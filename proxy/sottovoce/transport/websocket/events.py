"""What a WebSocket tells its owner.  A binary message has no struct of its own: it is plain `bytes` in the list."""

import msgspec


class UpgradeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A client asks for a WebSocket, and its request is sound; answer with `accept` or `refuse`."""

    target: bytes
    """Path and query as they were sent; it begins with a slash."""
    authority: bytes
    """The value of the one Host header, as it was sent."""
    origin: str | None
    subprotocols: tuple[str, ...]
    """In the client's order of preference."""
    headers: tuple[tuple[str, str], ...]
    """All headers in their order, the names in small letters."""

    def header(self, name: str) -> tuple[str, ...]:
        """Give the values of each header called `name`, none if there is no such header."""
        wanted = name.lower()
        return tuple(value for each, value in self.headers if each == wanted)

    def __repr__(self) -> str:
        """Show no header: one may hold a cookie or a token."""
        return f"UpgradeRequest(target={self.target!r}, authority={self.authority!r}, origin={self.origin!r})"


class UpgradeAccepted(msgspec.Struct, frozen=True):
    """The server opened the WebSocket, with the subprotocol that was asked for."""

    subprotocol: str | None


class TextMessage(msgspec.Struct, frozen=True):
    """A whole text message."""

    text: str


class PeerClosed(msgspec.Struct, frozen=True):
    """The peer's close frame: nothing will come after it, nothing can be sent any more."""

    code: int
    """1005 if the peer gave none (RFC 6455 §7.1.5)."""
    reason: str
    """The peer's own words."""


class WsFailed(msgspec.Struct, frozen=True):
    """The WebSocket is over without a closing handshake, or never opened."""

    reason: str
    """One line in our words."""
    status: int | None = None
    """The HTTP status by which the upgrade was refused, by us or by the server."""
    close_code: int | None = None
    """The close code for this failure; 1006 if the connection ended without a close frame (RFC 6455 §7.4.1)."""


WsEvent = UpgradeRequest | UpgradeAccepted | TextMessage | bytes | PeerClosed | WsFailed
