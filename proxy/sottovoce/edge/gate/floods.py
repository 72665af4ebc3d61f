"""How many handshakes one address may begin.  Pure.

The cheapest check comes first (docs/protocol.md §11: rate limit, then size and syntax, then KEM, then signature): it
looks at nothing but the address, before a byte is read.  A subscriber of IPv6 has 2^64 addresses at least, so all of a
/64 count as one.  Memory is bounded: of too many addresses, the one seen longest ago is forgotten.
"""

import ipaddress
from collections import OrderedDict

from sottovoce.session import TokenBucket

MAX_ADDRESSES = 65_536
"""Addresses that are remembered; beyond, the one seen longest ago is forgotten, and begins anew."""
BURST_SECONDS = 2.0
"""How many seconds' worth of handshakes an address may begin at once."""
_NETWORK_BYTES = 8


class HandshakeLimits:
    """Limits for each address: so many handshakes a second, so many at the same time."""

    def __init__(self, per_second: float, at_once: int) -> None:
        """Begin with no address known."""
        self._per_second = per_second
        self._at_once = at_once
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._running: dict[str, int] = {}

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._buckets)

    def reconfigure(self, per_second: float, at_once: int) -> None:
        """Take other limits; addresses that are known keep what they have had."""
        self._per_second = per_second
        self._at_once = at_once

    def begin(self, address: str, now: float) -> str | None:
        """Count a handshake in.  Gives the reason why it may not begin (and is not counted), None if it may."""
        address = _network_of(address)
        if self._running.get(address, 0) >= self._at_once:
            return "max_handshakes_per_address is reached"
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = TokenBucket(self._per_second, BURST_SECONDS * self._per_second, now)
            if len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        if not bucket.take(now):
            return "max_handshakes_per_second is reached"
        self._running[address] = self._running.get(address, 0) + 1
        return None

    def end(self, address: str) -> None:
        """Count a handshake out."""
        address = _network_of(address)
        left = self._running.pop(address) - 1
        if left:
            self._running[address] = left


def _network_of(address: str) -> str:
    """Give what counts as one address."""
    if ":" not in address:
        return address
    prefix = ipaddress.IPv6Address(address).packed[:_NETWORK_BYTES]
    return prefix.hex()
