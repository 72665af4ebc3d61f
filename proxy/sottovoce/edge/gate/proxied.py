"""Whose connection it is: the peer's own, or that of the client whom a balancer names."""

import ipaddress
from collections.abc import Iterable

import trio

from sottovoce.transport import Announced, ProxyHeader

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Whether an IP address is in one of the networks."""
    return any(ipaddress.ip_address(host) in each for each in networks)


async def read_header(stream: trio.abc.ReceiveStream) -> Announced | None:
    """Read a balancer's header; give the client that it names, None if it speaks for itself (a health check).

    Raises ProxyHeaderInvalid, and what `stream` raises.  After cancellation the stream is of no use: close it.
    """
    header = ProxyHeader()
    while header.wanted_bytes:
        header.receive(bytes(await stream.receive_some(header.wanted_bytes)))
    return header.source
