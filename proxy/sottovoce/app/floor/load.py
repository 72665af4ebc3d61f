"""How calls and their backends do, as one floor tells it, or several added up.  Pure."""

from collections.abc import Iterable
from functools import reduce
from typing import Literal

import msgspec

from sottovoce.admin import CallCounts, HandshakeStatus, RouteStatus
from sottovoce.observe import CallCounts as FrameCounts

_HYBRID = "MLKEM"
"""In the name of each TLS group whose agreement is post-quantum."""
_NONE = CallCounts(0, 0, 0)

BackendState = Literal["not called yet", "answering", "silent", "down"]


class BackendSeen(msgspec.Struct, frozen=True):
    """How a backend did in the last call that told something of it, and since when it does so (`Clock.now`)."""

    state: BackendState
    since: float
    reason: str = ""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a floor carries and has carried since it began."""

    began_at: float
    """On the clock that nobody sets (`Clock.now`)."""
    calls: CallCounts = _NONE
    listeners: dict[str, int] = {}
    """Calls that run, by listener."""
    routes: dict[str, CallCounts] = {}
    groups: dict[str, int] = {}
    """Calls by the TLS group that they began with."""
    backends: dict[str, BackendSeen] = {}
    """By route."""
    carried: FrameCounts = FrameCounts()
    half_open: int = 0
    tickets: dict[str, int] = {}
    """Tickets that were wanted or shown, by what became of them."""
    ticket_key_seconds: float | None = None
    """How old the key is that seals tickets; None while there is none."""
    tasks: int = 0

    @property
    def handshakes(self) -> HandshakeStatus:
        """Calls by TLS group, and the post-quantum share."""
        total = sum(self.groups.values())
        hybrid = sum(count for group, count in self.groups.items() if _HYBRID in group)
        return HandshakeStatus(dict(self.groups), hybrid / total if total else None)

    def route(self, name: str, now: float, *, is_built_in: bool) -> RouteStatus:
        """Give how a route does at `now`."""
        found = self.backends.get(name) or BackendSeen("not called yet", self.began_at)
        state = "built in" if is_built_in else found.state
        since = self.began_at if is_built_in else found.since
        return RouteStatus(name, self.routes.get(name, _NONE), state, round(now - since, 3), found.reason)

    def past(self) -> "Load":
        """Give what remains of it when its floor has gone: what was counted, and nothing that runs."""
        return msgspec.structs.replace(
            self,
            calls=_past(self.calls),
            listeners={},
            routes={name: _past(each) for name, each in self.routes.items()},
            half_open=0,
            ticket_key_seconds=None,
            tasks=0,
        )


def total(loads: Iterable[Load], began_at: float) -> Load:
    """Add up what several floors carry, of a proxy that began at `began_at`.

    The most calls at once are at least those of each.
    """
    return reduce(_both, loads, Load(began_at=began_at))


def _both(one: Load, other: Load) -> Load:
    return Load(
        began_at=one.began_at,
        calls=_added(one.calls, other.calls),
        listeners=_summed(one.listeners, other.listeners),
        routes={
            name: _added(one.routes.get(name, _NONE), other.routes.get(name, _NONE))
            for name in one.routes | other.routes
        },
        groups=_summed(one.groups, other.groups),
        backends={
            name: max(
                (each.backends[name] for each in (one, other) if name in each.backends), key=lambda seen: seen.since
            )
            for name in one.backends | other.backends
        },
        carried=one.carried + other.carried,
        half_open=one.half_open + other.half_open,
        tickets=_summed(one.tickets, other.tickets),
        ticket_key_seconds=max(
            (each.ticket_key_seconds for each in (one, other) if each.ticket_key_seconds is not None), default=None
        ),
        tasks=one.tasks + other.tasks,
    )


def _added(one: CallCounts, other: CallCounts) -> CallCounts:
    now = one.now + other.now
    return CallCounts(now, max(now, one.peak, other.peak), one.total + other.total)


def _past(counts: CallCounts) -> CallCounts:
    return msgspec.structs.replace(counts, now=0)


def _summed(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one | other}
