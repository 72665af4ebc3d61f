"""A blocking call's connection, as its users' threads see it: they ask its thread (`carrier`) by wishes, and wait.

The thread does not hold the link: one that is lost, as Ctrl-C has struck before somebody could take it, lets the thread
go.  Therefore nothing that is wished refers to the link.  Where Ctrl-C strikes just then, the thread sees by itself,
some seconds later, that nobody holds the call.
"""

import socket
import sys
import weakref
from collections import deque
from collections.abc import Callable

from sottovoce.client.errors import CallError
from sottovoce.client.items import Item
from sottovoce.client.machine import CallMachine
from sottovoce.client.sync.carrier import Carrier
from sottovoce.client.sync.wish import Wish
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import Clock


class Link:
    """One call's connection.  After Ctrl-C it can be used on."""

    def __init__(self, machine: CallMachine, sock: socket.socket, clock: Clock) -> None:
        """Take over `sock`.  Begin with `start`."""
        self.machine = machine
        self._carrier = Carrier(machine, sock, clock)
        self._carrier.holder = weakref.ref(self)
        self._returned = deque[Item]()

    def __del__(self) -> None:
        if hasattr(self, "_carrier") and not (sys.is_finalizing() or self._carrier.is_elsewhere):
            self._carrier.let_go()

    @property
    def failure(self) -> CallError | None:
        """Why the call ended otherwise than well."""
        return self._carrier.failure

    def start(self) -> None:
        """Begin, and wait until it is known whether the call comes about."""
        carrier = self._carrier
        carrier.start()
        self._ask(carrier.orders, lambda _: carrier.has_settled)

    def next_item(self, seconds: float | None = None) -> Item | None:
        """Wait for the next item; None behind the last one.  Raises the call's failure, and TimeoutError."""
        carrier, returned, taken = self._carrier, self._returned, list[Item]()

        def attempt(_: float) -> bool:
            item = returned.popleft() if returned else carrier.take()
            if item is not None:
                taken.append(item)
            return item is not None or carrier.has_told

        try:
            self._ask(carrier.takings, attempt, seconds)
        except BaseException:
            returned.extendleft(taken)  # broken off when it was there already
            raise
        return carrier.told(taken[0] if taken else None)

    def say(self, seal: Callable[[float], bool]) -> None:
        """Have something sealed, as soon as it may be, and written.  Raises CallError if the call is over."""
        carrier = self._carrier

        def attempt(now: float) -> bool:
            if not carrier.has_ended:
                return seal(now)
            raise carrier.why_not()

        self._ask(carrier.sayings, attempt)

    def close(self, code: int) -> None:
        """End the call and wait until the connection is closed, and the thread gone.  Broken off, a second at most."""
        carrier = self._carrier
        if sys.is_finalizing() or carrier.is_elsewhere:
            return  # the program is over, and its daemon threads stand still; or the call is another process's

        def end(now: float) -> bool:
            carrier.machine.close(now, code)
            return True

        try:
            self._ask(carrier.orders, end)
            self._ask(carrier.orders, lambda _: carrier.is_closed)
        except ApiMisuse:
            raise
        except BaseException:
            self._ask(carrier.orders, carrier.drop)
            self._ask(carrier.orders, lambda _: carrier.is_closed)
            raise
        finally:
            if carrier.is_closed and carrier.thread.is_alive():
                carrier.thread.join()

    def _ask(self, wishes: deque[Wish], attempt: Callable[[float], bool], seconds: float | None = None) -> None:
        if self._carrier.is_elsewhere:
            raise ApiMisuse("a call does not come along when a process forks: make one in the new process")
        wish = Wish(attempt)
        try:
            self._carrier.ask(wishes, wish)
            wish.wait(seconds)
        except BaseException:
            wish.withdraw()
            raise
