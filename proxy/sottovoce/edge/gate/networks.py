"""What counts as one client, and as one neighbourhood: by address.  Pure.

A subscriber of IPv6 has 2^64 addresses at least, so all of a /64 count as one address, and a site's /48 as one prefix.
Of IPv4 an address is one, though many may share it (NAT), and its /24 is the prefix: the smallest that is routed.
"""

import ipaddress
from typing import NamedTuple

_ADDRESS_BYTES, _PREFIX_BYTES = 8, 6


class Place(NamedTuple):
    """Where a connection comes from, as far as limits are concerned."""

    address: str
    prefix: str


def place_of(host: str) -> Place:
    """Give the place of an IP address, which may have a zone (`fe80::1%eth0`)."""
    if ":" in host:
        ip = ipaddress.IPv6Address(host)
        if ip.ipv4_mapped is None:
            return Place(ip.packed[:_ADDRESS_BYTES].hex(), ip.packed[:_PREFIX_BYTES].hex())
        host = str(ip.ipv4_mapped)
    return Place(host, host.rpartition(".")[0])
