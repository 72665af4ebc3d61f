"""How many handshakes may begin, and be under way, by address, by prefix and altogether.  Pure.

The cheapest check comes first (docs/protocol.md §11: rate limit, then size and syntax, then KEM, then signature): it
looks at nothing but where a connection comes from, before a byte is read.  A handshake is under way until the voice
session is agreed on, so that whoever stops half-way keeps a place of his own and not of others.

A refused hello costs as much as many good ones, and may run an address and its prefix into debt: a flood of them is
soon refused unread, while other prefixes are served.  When all places are taken, a newcomer gets that of the oldest
handshake of the prefix that holds the most; who belongs to that prefix is refused.  An agreed call is never touched.

Memory is bounded: of too many addresses, the one seen longest ago is forgotten.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable

import msgspec

from sottovoce.edge.gate.networks import Place, place_of
from sottovoce.wire import Code

MAX_PLACES = 65_536
"""Addresses, and prefixes, that are remembered; beyond, the one seen longest ago is forgotten, and begins anew."""
BURST_SECONDS = 2.0
"""How many seconds' worth of handshakes may begin at once, and how deep the debt may get."""
BAD_HELLO = frozenset(
    {
        Code.BAD_RECORD,
        Code.AUTH_FAILED,
        Code.POLICY,
        Code.NO_COMMON_SUITE,
        Code.ILLEGAL_SHARE,
        Code.TOO_LARGE,
        Code.BINDING_MISMATCH,
    }
)
"""How a voice handshake ends that the client got wrong.  Too slow is not among them: that may be the HSM."""


class GateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener is told; `ListenerConfig` says more of each."""

    address_at_once: int
    address_per_second: float
    prefix_at_once: int
    prefix_per_second: float
    at_once: int
    bad_hello_weight: int


class HalfOpen:
    """A handshake that is under way.  `evict` ends it from outside."""

    __slots__ = ("evict", "place")

    def __init__(self, place: Place, evict: Callable[[], None]) -> None:
        self.place = place
        self.evict = evict


class Gate:
    """Counts handshakes in and out."""

    def __init__(self, limits: GateLimits) -> None:
        """Begin with nobody known."""
        self.limits = limits
        self._addresses = _Allowances()
        self._prefixes = _Allowances()
        self._at_address: Counter[str] = Counter()
        self._crowd = _Crowd()

    def __len__(self) -> int:
        """How many handshakes are under way."""
        return len(self._crowd)

    @property
    def remembered(self) -> int:
        """How many addresses are remembered."""
        return len(self._addresses)

    def begin(self, host: str, now: float, evict: Callable[[], None]) -> HalfOpen | str:
        """Count a handshake in; or give the reason why it may not begin, which names the limit.

        `evict` is called when its place goes to another; it is counted out by then.
        """
        limits, place = self.limits, place_of(host)
        if self._at_address[place.address] >= limits.address_at_once:
            return "max_handshakes_per_address is reached"
        if self._crowd.count(place.prefix) >= limits.prefix_at_once:
            return "max_handshakes_per_prefix is reached"
        if not self._addresses.take(place.address, now, limits.address_per_second):
            return "max_handshakes_per_second is reached"
        if not self._prefixes.take(place.prefix, now, limits.prefix_per_second):
            return "max_prefix_handshakes_per_second is reached"
        if len(self._crowd) >= limits.at_once and not self._make_room(place):
            return "max_handshakes is reached, most of it by this prefix"
        half_open = HalfOpen(place, evict)
        self._at_address[place.address] += 1
        self._crowd.add(half_open)
        return half_open

    def end(self, half_open: HalfOpen) -> None:
        """Count a handshake out; harmless when it was before."""
        if self._crowd.remove(half_open):
            address = half_open.place.address
            self._at_address[address] -= 1
            if not self._at_address[address]:
                del self._at_address[address]

    def refused(self, half_open: HalfOpen, code: int, now: float) -> None:
        """Count a handshake out that was refused with `code`."""
        self.end(half_open)
        if code in BAD_HELLO:
            limits, place = self.limits, half_open.place
            self._addresses.charge(place.address, now, limits.address_per_second, limits.bad_hello_weight)
            self._prefixes.charge(place.prefix, now, limits.prefix_per_second, limits.bad_hello_weight)

    def _make_room(self, newcomer: Place) -> bool:
        """Take the place of another, unless the newcomer's own prefix has as many."""
        if self._crowd.most <= self._crowd.count(newcomer.prefix):
            return False
        victim = self._crowd.oldest_of_most()
        self.end(victim)
        victim.evict()
        return True


class _Allowances:
    """Token buckets by key, which may run into debt.  A key that is not known has a full one."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def take(self, key: str, now: float, per_second: float) -> bool:
        """Take a token; false if there is none."""
        tokens = self._tokens(key, now, per_second)
        has_one = tokens >= 1
        self._keep(key, tokens - has_one, now)
        return has_one

    def charge(self, key: str, now: float, per_second: float, tokens: float) -> None:
        """Take so many tokens, whether there or not, down to a debt as large as the bucket."""
        left = self._tokens(key, now, per_second) - tokens
        self._keep(key, max(left, -BURST_SECONDS * per_second), now)

    def _tokens(self, key: str, now: float, per_second: float) -> float:
        most = BURST_SECONDS * per_second
        tokens, at = self._known.get(key, (most, now))
        return min(most, tokens + max(now - at, 0) * per_second)

    def _keep(self, key: str, tokens: float, now: float) -> None:
        self._known[key] = (tokens, now)
        self._known.move_to_end(key)
        if len(self._known) > MAX_PLACES:
            self._known.popitem(last=False)


class _Crowd:
    """Handshakes by prefix, oldest first, and which prefix has the most; no step depends on how many there are."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, dict[HalfOpen, None]] = {}
        self._by_count: dict[int, dict[str, None]] = {}
        self._size = 0
        self.most = 0
        """How many the largest prefix has."""

    def __len__(self) -> int:
        return self._size

    def count(self, prefix: str) -> int:
        return len(self._by_prefix.get(prefix, ()))

    def add(self, half_open: HalfOpen) -> None:
        members = self._by_prefix.setdefault(half_open.place.prefix, {})
        members[half_open] = None
        self._size += 1
        self._move(half_open.place.prefix, len(members) - 1, len(members))
        self.most = max(self.most, len(members))

    def remove(self, half_open: HalfOpen) -> bool:
        prefix = half_open.place.prefix
        members = self._by_prefix.get(prefix, {})
        if half_open not in members:
            return False
        del members[half_open]
        self._size -= 1
        self._move(prefix, len(members) + 1, len(members))
        if not members:
            del self._by_prefix[prefix]
        if self.most not in self._by_count:
            self.most -= 1  # the prefix that has just lost one is there, or nobody is
        return True

    def oldest_of_most(self) -> HalfOpen:
        """There is one."""
        prefix = next(iter(self._by_count[self.most]))
        return next(iter(self._by_prefix[prefix]))

    def _move(self, prefix: str, old: int, new: int) -> None:
        if old:
            same = self._by_count[old]
            del same[prefix]
            if not same:
                del self._by_count[old]
        if new:
            self._by_count.setdefault(new, {})[prefix] = None
