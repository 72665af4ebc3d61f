"""What a client is allowed, whatever proved who it is.  Pure."""

import msgspec

from sottovoce.session import Identity
from sottovoce.wire import Code

_PATH = b"/v1/voice/"
_MAX_NAME = 128


class Grant(msgspec.Struct, frozen=True):
    """An identity, and where it may call: hosts and routes as bytes, None for all of them."""

    identity: Identity
    audience: frozenset[bytes] | None
    routes: frozenset[bytes] | None

    def is_for(self, authority: bytes) -> bool:
        """Whether it may be shown at this authority (in small letters)."""
        return self.audience is None or authority in self.audience

    def is_over(self, now: float) -> bool:
        """Whether it has expired (Unix seconds)."""
        expires = self.identity.expires_at
        return expires is not None and now >= expires

    def verdict(self, authority: bytes, path: bytes, now: float) -> Identity | Code:
        """Give the identity; or policy for a good credential on a route that is not its own, else auth_failed."""
        if not self.is_for(authority) or self.is_over(now):
            return Code.AUTH_FAILED
        if self.routes is not None and route_of(path) not in self.routes:
            return Code.POLICY
        return self.identity


def route_of(path: bytes) -> bytes:
    """Give the route that a request target names; empty for none."""
    return path.partition(b"?")[0].removeprefix(_PATH) if path.startswith(_PATH) else b""


def is_name(name: str) -> bool:
    """Whether a text may be a client's name: it stands in logs, on the audit log, and goes to backends."""
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and name == name.strip()


def is_place(name: str) -> bool:
    """Whether a text may be a host (with a port, if clients send one) or a route."""
    return bool(name) and name.isascii() and name.isprintable() and not any(char in " /?#@" for char in name)


def as_audience(hosts: tuple[str, ...]) -> frozenset[bytes]:
    """Give hosts as they are compared: bytes in small letters."""
    return frozenset(host.lower().encode() for host in hosts)


def as_routes(routes: tuple[str, ...] | None) -> frozenset[bytes] | None:
    """Give routes as they are compared: bytes."""
    return None if routes is None else frozenset(route.encode() for route in routes)
