"""What every adapter that dials for each call shares: dialling, one call's leg, its limits.

An adapter brings a `Dialect`: its messages, pure; and a `Framing`, where it is not WebSocket.
"""

from sottovoce.relay.link.address import TCP, UNIX, WEBSOCKET, BackendAddress, Schemes, is_loopback_ip, parse_url
from sottovoce.relay.link.dial import Begin, Dialer, Headers, Link, OpenStream, WebSocketUpgrade
from sottovoce.relay.link.dialect import Dialect, Later, Message, MeteredSink
from sottovoce.relay.link.framing import Framing
from sottovoce.relay.link.leg import BackendLeg
from sottovoce.relay.link.network import open_network_stream
from sottovoce.relay.link.playout import MAX_MARKS, Playout
from sottovoce.relay.link.route import BackendRoute, MakeDialect

__all__ = [
    "MAX_MARKS",
    "TCP",
    "UNIX",
    "WEBSOCKET",
    "BackendAddress",
    "BackendLeg",
    "BackendRoute",
    "Begin",
    "Dialect",
    "Dialer",
    "Framing",
    "Headers",
    "Later",
    "Link",
    "MakeDialect",
    "Message",
    "MeteredSink",
    "OpenStream",
    "Playout",
    "Schemes",
    "WebSocketUpgrade",
    "is_loopback_ip",
    "open_network_stream",
    "parse_url",
]
