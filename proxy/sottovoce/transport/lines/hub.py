"""One epoll descriptor for all sockets in their quick phase, and the one task that waits for it.

Trio's own wait for a socket costs a registration, a task switch and some objects each time.  Here sockets stay
registered, Trio waits for the one descriptor that stands for them all, and what is ready is then handled one after the
other.  Each is level-triggered and read in small pieces, and a turn has a limit, so nobody holds up the others.

The hub is a matter of the event loop, like its timers: there is one for each run of Trio, made when it is first wanted
and gone with the run.
"""

import select
from collections.abc import Callable
from typing import Final

import trio

Ready = Callable[[int], None]
"""Is told the events of its descriptor; must not raise."""

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
_EVENTS_A_TURN: Final = 64
"""Handled before Trio's tasks have a turn: 2 ms when each is a frame."""


class Hub:
    """Knows which sockets are to be looked at, and whom to tell."""

    def __init__(self) -> None:
        """Begin with none."""
        self._epoll = select.epoll()
        self._users: dict[int, Ready] = {}

    def add(self, descriptor: int, events: int, ready: Ready) -> None:
        """Look at a descriptor from now on."""
        self._epoll.register(descriptor, events)
        self._users[descriptor] = ready

    def change(self, descriptor: int, events: int) -> None:
        """Look at a descriptor for other events."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor, which is open still; from here on its user is told nothing."""
        del self._users[descriptor]
        if not self._epoll.closed:
            self._epoll.unregister(descriptor)

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._serve()
        finally:
            self._epoll.close()

    def _serve(self) -> None:
        """Tell whoever is ready, and whoever has become so meanwhile: to ask again costs less than to wait anew."""
        left, users = _EVENTS_A_TURN, self._users
        while left > 0 and (events := self._epoll.poll(0, left)):
            left -= len(events)
            for descriptor, mask in events:
                ready = users.get(descriptor)
                if ready is not None:  # another one's end may have been its end
                    ready(mask)


_current: Final = trio.lowlevel.RunVar[Hub]("sottovoce hub")


def current_hub() -> Hub:
    """Give this run's hub."""
    try:
        return _current.get()
    except LookupError:
        hub = Hub()
        _current.set(hub)
        trio.lowlevel.spawn_system_task(hub.run, name="sottovoce hub")
        return hub
