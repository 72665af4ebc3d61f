"""`Taking`: which sockets a worker accepts from, of those that it inherited: its own, and those of who is gone.

A place that nobody accepts from lets its connections wait.  So what is wanted last is what is done, and where there is
no descriptor for it just now it is done a moment later; the calls that run do not hear of it.

Whether a socket blocks is said of it in all processes at once, and several may accept from it: were it blocking for one
moment, whoever finds nobody there in that moment would stand still until somebody comes.
"""

from itertools import chain
from typing import NoReturn

import trio

from sottovoce.app.workers.places import Sockets, close_places
from sottovoce.edge import Listener
from sottovoce.settings import Configuration

_NEVER = float("inf")
_RETRY_SECONDS = 0.25


class Taking:
    """`listen`, then `run`."""

    def __init__(self, sockets: Sockets) -> None:
        """Take all sockets of each listener, in the order of their places."""
        for bound in chain.from_iterable(sockets.values()):
            bound.setblocking(False)  # noqa: FBT003  its only argument; `dup` takes it from here
        self._sockets: Sockets = sockets
        self._listeners: tuple[Listener, ...] = ()
        self._taken: dict[tuple[str, int], trio.SocketListener] = {}
        self._wanted: tuple[int, ...] = ()
        self._news = trio.Event()

    def listen(self, configuration: Configuration, places: tuple[int, ...]) -> tuple[Listener, ...]:
        """Make the listeners, which accept from the first of `places`, and soon from all.  Raises OSError."""
        for name, config in configuration.all_listeners().items():
            bound = self._taken[name, places[0]] = self._at(name, places[0])
            self._listeners = (*self._listeners, Listener(name, config, bound))
        self.want(places)
        return self._listeners

    def want(self, places: tuple[int, ...]) -> None:
        """Have it accept from these places, and from no others; never waits."""
        self._wanted = places
        self._news.set()
        self._news = trio.Event()

    async def run(self) -> NoReturn:
        """Do as is wanted, until cancelled."""
        while True:
            news, seconds = self._news, _NEVER
            try:
                await self._change()
            except OSError:  # no descriptor
                seconds = _RETRY_SECONDS
            with trio.move_on_after(seconds):
                await news.wait()

    def let_go(self) -> None:
        """Close what was inherited, so that an address is free when whoever bound it lets go of it."""
        close_places(self._sockets)
        self._sockets = {}

    async def _change(self) -> None:
        if not self._sockets:
            return
        wanted = {(each.name, place): each for place in self._wanted for each in self._listeners}
        listeners = {each.name: each for each in self._listeners}
        for name, place in self._taken.keys() - wanted.keys():
            await listeners[name].leave_off(self._taken.pop((name, place)))
        for (name, place), listener in wanted.items():
            if (name, place) not in self._taken and self._sockets:
                bound = self._taken[name, place] = self._at(name, place)
                listener.accept_from(bound)

    def _at(self, listener: str, place: int) -> trio.SocketListener:
        """Give the socket of a place, to be closed by itself: the one that was inherited stays."""
        return trio.SocketListener(trio.socket.from_stdlib_socket(self._sockets[listener][place].dup()))
