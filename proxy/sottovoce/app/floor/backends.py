"""How calls and their backends do, by route: what the edge tells while calls run.

A backend is known by the last call that told something of it.  Nobody calls a backend to see whether it is there: that
would be one more call to it.
"""

from collections import Counter, defaultdict

import trio

from sottovoce.admin import CallCounts
from sottovoce.app.floor.load import BackendSeen, BackendState, Load
from sottovoce.primitives import one_line
from sottovoce.transport import Clock

_MAX_REASON = 200


class _Counts:
    """Calls: now, at most, since the start."""

    def __init__(self) -> None:
        self.now = self.peak = self.total = 0

    def begin(self) -> None:
        self.now += 1
        self.total += 1
        self.peak = max(self.peak, self.now)

    def end(self) -> None:
        self.now -= 1

    def shown(self) -> CallCounts:
        return CallCounts(self.now, self.peak, self.total)


class Backends:
    """An edge.CallObserver."""

    def __init__(self, clock: Clock) -> None:
        """Nobody has called yet."""
        self.changes = 0
        """How often something was told."""
        self._changed = trio.lowlevel.ParkingLot()
        self._clock = clock
        self._began_at = clock.now()
        self._all = _Counts()
        self._routes: defaultdict[str, _Counts] = defaultdict(_Counts)
        self._groups: Counter[str] = Counter()
        self._backends: dict[str, BackendSeen] = {}

    def call_started(self, route: str, tls_group: str) -> None:
        """Count a call in."""
        self._note_change()
        self._all.begin()
        self._routes[route].begin()
        self._groups[tls_group] += 1

    def call_ended(self, route: str) -> None:
        """Count a call out."""
        self._note_change()
        self._all.end()
        self._routes[route].end()

    def backend_answered(self, route: str) -> None:
        """A backend is there."""
        self._note(route, "answering")

    def backend_silent(self, route: str, seconds: float) -> None:
        """A backend was connected, and that was all."""
        self._note(route, "silent", f"it said nothing in {seconds:.0f} s")

    def backend_lost(self, route: str, reason: str) -> None:
        """A backend is not there, or no longer."""
        self._note(route, "down", one_line(reason, max_characters=_MAX_REASON))

    def backend_moved(self, route: str) -> None:
        """From now on another backend is called on this route; of that one nothing is known."""
        self._note_change()
        self._backends.pop(route, None)

    async def change(self) -> None:
        """Wait until something more is told."""
        await self._changed.park()

    def _note_change(self) -> None:
        self.changes += 1
        self._changed.unpark_all()

    def _note(self, route: str, state: BackendState, reason: str = "") -> None:
        self._note_change()
        before = self._backends.get(route)
        since = before.since if before is not None and before.state == state else self._clock.now()
        self._backends[route] = BackendSeen(state, since, reason)

    @property
    def load(self) -> Load:
        """What was told so far."""
        return Load(
            began_at=self._began_at,
            calls=self._all.shown(),
            routes={name: each.shown() for name, each in self._routes.items()},
            groups=dict(self._groups),
            backends=dict(self._backends),
        )
