"""WebSocket (RFC 6455) without input or output, both roles: the HTTP/1.1 upgrade, then messages.

The frames are the work of `websockets`' sans-IO core, which only this package knows.  Not here: which targets, origins
and subprotocols are served (the caller's, by `accept` and `refuse`), deadlines, and what messages mean.
"""

from sottovoce.transport.websocket.client import ClientWebSocket
from sottovoce.transport.websocket.events import (
    PeerClosed,
    TextMessage,
    UpgradeAccepted,
    UpgradeRequest,
    WsEvent,
    WsFailed,
)
from sottovoce.transport.websocket.server import ServerWebSocket

__all__ = [
    "ClientWebSocket",
    "PeerClosed",
    "ServerWebSocket",
    "TextMessage",
    "UpgradeAccepted",
    "UpgradeRequest",
    "WsEvent",
    "WsFailed",
]
