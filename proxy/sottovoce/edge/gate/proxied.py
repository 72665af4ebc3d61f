"""Whose connection it is: the peer's own, or that of the client whom a balancer names."""

import ipaddress
from collections.abc import Iterable

import trio

from sottovoce.transport import ProxyHeader

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Whether an IP address is in one of the networks."""
    return any(ipaddress.ip_address(host) in each for each in networks)


async def read_header(stream: trio.abc.ReceiveStream) -> ProxyHeader:
    """Read a balancer's header.

    Raises ProxyHeaderInvalid, and what `stream` raises.  After cancellation the stream is of no use: close it.
    """
    header = ProxyHeader()
    while header.wanted_bytes:
        header.receive(bytes(await stream.receive_some(header.wanted_bytes)))
    return header
