"""What every adapter with a WebSocket backend shares: dialling, one call's leg, its limits.

An adapter brings a `Dialect`: its messages, pure.
"""

from sottovoce.relay.link.address import BackendAddress, is_loopback_ip, parse_url
from sottovoce.relay.link.dial import Dialer, Link, OpenStream
from sottovoce.relay.link.dialect import Dialect, Later, MeteredSink
from sottovoce.relay.link.leg import WebSocketLeg
from sottovoce.relay.link.network import open_network_stream
from sottovoce.relay.link.route import MakeDialect, WebSocketRoute

__all__ = [
    "BackendAddress",
    "Dialect",
    "Dialer",
    "Later",
    "Link",
    "MakeDialect",
    "MeteredSink",
    "OpenStream",
    "WebSocketLeg",
    "WebSocketRoute",
    "is_loopback_ip",
    "open_network_stream",
    "parse_url",
]
