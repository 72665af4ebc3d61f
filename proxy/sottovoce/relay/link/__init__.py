"""What every adapter with a WebSocket backend shares: dialling, one call's leg, its limits.

An adapter brings a `Dialect`: its messages, pure.
"""

from sottovoce.relay.link.address import BackendAddress, is_loopback_ip, parse_url
from sottovoce.relay.link.dialect import Dialect, MeteredSink
from sottovoce.relay.link.outbound import OutboundQueue

__all__ = ["BackendAddress", "Dialect", "MeteredSink", "OutboundQueue", "is_loopback_ip", "parse_url"]
