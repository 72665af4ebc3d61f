"""One epoll descriptor for all sockets in their quick phase, and who waits for it.

Trio's own wait for a socket costs a registration, a task switch and some objects each time, more than all that happens
to a voice frame.  Here sockets stay registered, and what is ready is handled one after the other, where Trio waits: the
hub stands in the place of Trio's epoll object, waits for both, and hands control back as soon as Trio has something to
do: its own descriptor is ready, a task was woken, time is up.  So frames pass while no task of Trio's has a turn.

Each socket is level-triggered and read in small pieces, and Trio has a turn every few milliseconds, so nobody holds up
the others.  The hub is a matter of the event loop, like its timers: there is one for each run of Trio, made when it is
first wanted and gone with the run.

Trio's epoll object and its queue of runnable tasks are private names (`trio._core._io_epoll`, 0.35; there is no public
way to run code where it waits, https://github.com/python-trio/trio/issues/1551 tells of the public guest mode, which
waits in a thread).  `tests/transport/lines/test_hub.py` fails when they change; where they are not there the hub is a
task that waits with `wait_readable`, which costs twice as much a frame.
"""
# ruff: noqa: SLF001 - private names of Trio are this module's business

import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final, Protocol, cast

import trio

Ready = Callable[[int], None]
"""Is told the events of its descriptor; must not raise."""

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
_EVENTS_AT_ONCE: Final = 64
"""Handled before anything else is looked at: 2 ms when each is a frame."""
_NEVER: Final = float("inf")
_GATHER_SECONDS: Final = 0.0005
_FEW: Final = 16
"""Where fewer come so soon behind the last ones, it waits so long for more of them: a frame that is handled alone costs
a wait of its own, and finds nothing of the way that it goes in the caches."""
_TURN_SECONDS: Final = 0.01
"""After which Trio has a turn, also when nothing seems to be wanted: somebody may have set a nearer deadline."""


class Hub:
    """Knows which sockets are to be looked at, and whom to tell."""

    def __init__(self) -> None:
        """Begin with none."""
        self.epoll = select.epoll()
        self.users: dict[int, Ready] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._is_serving = False
        self.due_at = _NEVER
        """When `act_on_time` should be called, by `time.monotonic`."""
        self.stands_in = False
        """Whether it waits in Trio's place, and so knows the time."""

    def add(self, descriptor: int, events: int, ready: Ready) -> None:
        """Look at a descriptor from now on."""
        self.epoll.register(descriptor, events)
        self.users[descriptor] = ready

    def change(self, descriptor: int, events: int) -> None:
        """Look at a descriptor for other events."""
        self.epoll.modify(descriptor, events)

    def remove(self, descriptor: int, ready: Ready) -> None:
        """Forget a descriptor; from here on `ready` is told nothing.  If it is another one's by now, it stays his."""
        if self.users.get(descriptor) == ready:
            del self.users[descriptor]
            with suppress(OSError, ValueError):  # closed already, it or the epoll object: forgotten all the same
                self.epoll.unregister(descriptor)

    def after_turn(self, act: Callable[[], None]) -> None:
        """Have `act` called once all who are ready have been told, so that what comes of it leaves together.

        Where nobody is being told, in a task of Trio's, it is called at once.  It must not raise.
        """
        if self._is_serving:
            self._afterwards.append(act)
        else:
            act()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Have `act` called behind a turn so many seconds from now, or a little later; at once in a task of our own.

        It costs nothing but a look at the clock, which is why Trio's timers are not asked.  It must not raise.
        """
        if not self.stands_in:
            act()
            return
        when = time.monotonic() + seconds
        self._later.append((when, act))
        self.due_at = min(self.due_at, when)

    def act_on_time(self, now: float) -> None:
        """Do what is due, the earliest first."""
        due = sorted((each for each in self._later if each[0] <= now), key=itemgetter(0))
        self._later = [each for each in self._later if each[0] > now]
        self.due_at = min((when for when, _ in self._later), default=_NEVER)
        for _, act in due:
            act()

    def serve(self, events: Sequence[tuple[int, int]]) -> bool:
        """Tell those who are ready; whether there were events that are nobody's."""
        users, are_all_told = self.users, True
        self._is_serving = True
        for descriptor, mask in events:
            ready = users.get(descriptor)
            if ready is None:  # Trio's; or another one's end was its end, too
                are_all_told = False
            else:
                ready(mask)
        self._is_serving = False
        if self._afterwards:
            acts, self._afterwards = self._afterwards, []
            for act in acts:
                act()
        return not are_all_told

    async def run(self) -> None:
        """Serve as a task, until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self.epoll.fileno())
                self.serve(self.epoll.poll(0, _EVENTS_AT_ONCE))
        finally:
            self.epoll.close()


class _Served(list[tuple[int, int]]):
    """No event of Trio's, and yet not nothing: an empty list tells Trio that time is up and that all is quiet."""

    def __bool__(self) -> bool:
        return True


_SERVED: Final = _Served()


class _Epoll(Protocol):
    """What Trio calls of a `select.epoll`."""

    def poll(self, timeout: float = ..., maxevents: int = ...) -> list[tuple[int, int]]: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class StandIn:
    """Stands in the place of Trio's epoll object, which it asks for everything but waiting."""

    def __init__(self, theirs: _Epoll, hub: Hub, runnable: Sequence[object]) -> None:
        """Wait for `theirs` and for the hub's; `runnable` is Trio's queue of tasks that may go on."""
        self._theirs = theirs
        self._hub = hub
        self._runnable = runnable
        self._turned_at = 0.0
        hub.epoll.register(theirs.fileno(), READABLE)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever Trio asks of it
        return getattr(self._theirs, name)

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        """Serve the hub's sockets until Trio has something to do; give Trio's events."""
        hub, now = self._hub, time.monotonic()
        if not hub.users and hub.due_at == _NEVER:
            return self._theirs.poll(timeout, maxevents)
        until = now + timeout
        served: list[tuple[int, int]] = []
        while True:
            events = hub.epoll.poll(max(min(until, hub.due_at) - now, 0), _EVENTS_AT_ONCE)
            if events:
                served = _SERVED
                if hub.serve(events):
                    return self._theirs.poll(0, maxevents) or served
            now = time.monotonic()
            if now >= hub.due_at:
                served = _SERVED
                hub.act_on_time(now)
            if served:
                until = min(until, now + _TURN_SECONDS)
            if self._runnable or now >= until:
                # Also where theirs was not among what was told: else a task's time would be up though its socket has
                # what it waits for, as long as more of ours are ready than are told at once.
                return self._theirs.poll(0, maxevents) or served
            now = self._gather(len(events), now)

    def _gather(self, events: int, now: float) -> float:
        """Behind a turn of few events, close behind another: let more come together.  Gives the time."""
        if 0 < events < _FEW and now - self._turned_at < _GATHER_SECONDS:
            time.sleep(_GATHER_SECONDS)
            now = time.monotonic()
        self._turned_at = now
        return now

    def close(self) -> None:
        """End with Trio's run."""
        self._hub.epoll.close()
        self._theirs.close()


_current: Final = trio.lowlevel.RunVar[Hub]("sottovoce hub")


def current_hub() -> Hub:
    """Give this run's hub."""
    try:
        return _current.get()
    except LookupError:
        hub = Hub()
        _current.set(hub)
        if not stand_in(hub):
            trio.lowlevel.spawn_system_task(hub.run, name="sottovoce hub")
        return hub


def stand_in(hub: Hub) -> bool:
    """Put the hub where Trio waits; False if Trio is not what it was."""
    try:
        runner: Any = cast("Any", trio)._core._run.GLOBAL_RUN_CONTEXT.runner
        if runner.is_guest:  # it waits in a thread of its own
            return False
        manager: Any = runner.io_manager
        manager._epoll = StandIn(manager._epoll, hub, runner.runq)
        hub.stands_in = True
    except AttributeError:
        return False
    return True
