"""Which requests become voice sessions (docs/protocol.md §1).  Pure.

The order is that of cost and of what a person can mend: target, route, origin, subprotocol.  A refusal is an HTTP
status and one line; it says nothing about other routes.
"""

import re
from collections.abc import Mapping
from typing import Self

import msgspec

from sottovoce.relay import Route, RouteConfig, SuiteName
from sottovoce.session import SessionProfile
from sottovoce.transport import UpgradeRequest

SUBPROTOCOL = "sottovoce.v1"
PATH_PREFIX = "/v1/voice/"

_TARGET = re.compile(re.escape(PATH_PREFIX) + r"([A-Za-z0-9._~-]{1,64})(?:\?.*)?")
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404


class ServedRoute(msgspec.Struct, frozen=True):
    """A route, who may call it, and what its sessions have of their own (`RouteConfig` tells of each field)."""

    route: Route
    origins: tuple[str, ...] = ()
    profile: SessionProfile | None = None
    suites: tuple[SuiteName, ...] = ()
    padding: int | None = None

    @classmethod
    def of(cls, route: Route, config: RouteConfig) -> Self:
        """Put a route together with what its configuration says of its callers and sessions."""
        return cls(route, config.origins, config.profile, config.suites, config.padding)


class Admitted(msgspec.Struct, frozen=True):
    """A request for a call on a route."""

    served: ServedRoute


class Refused(msgspec.Struct, frozen=True):
    """A request that is answered with an HTTP status and a line of text."""

    status: int
    text: str
    retry_after_seconds: int | None = None
    """When it is worth another try, where we know."""

    @property
    def headers(self) -> dict[str, str]:
        """What is said beside the text."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}


def admit(request: UpgradeRequest, routes: Mapping[str, ServedRoute]) -> Admitted | Refused:
    """Judge an upgrade request."""
    match = _TARGET.fullmatch(request.target.decode("latin-1"))
    served = routes.get(match[1]) if match else None
    if served is None:
        return Refused(_NOT_FOUND, f"no such route: calls go to {PATH_PREFIX}<route>")
    if request.origin is not None and request.origin not in served.origins:
        return Refused(_FORBIDDEN, "this origin may not call this route")
    if SUBPROTOCOL not in request.subprotocols:
        return Refused(_BAD_REQUEST, f"this is a voice proxy: offer the WebSocket subprotocol {SUBPROTOCOL}")
    return Admitted(served)
