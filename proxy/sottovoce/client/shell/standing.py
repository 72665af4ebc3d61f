"""Where a call stands, for the shell that serves it: what to give its user, why it is over, how long to wait.

All that a shell of any event loop has to decide is here; what is left to it is a loop around bytes and timers.
"""

import math
from contextlib import suppress

from sottovoce.client.errors import CallEnded, CallError, InternalFault
from sottovoce.client.items import Ended, Item
from sottovoce.client.machine import CallMachine
from sottovoce.client.settings import CallSettings
from sottovoce.primitives import SystemKem
from sottovoce.session import Dependencies
from sottovoce.transport import Clock, SystemEntropy
from sottovoce.wire import SENT_CONTROL_FRAMES_PER_SECOND, Code

LAST_WORDS_SECONDS = 1.0
"""For the last bytes of a call that is over: an alert, a goodbye, close_notify."""
CONTROL_INTERVAL_SECONDS = 1 / SENT_CONTROL_FRAMES_PER_SECOND
"""A refused control frame may go as soon as the next token is there."""
_LOOK_AGAIN_SECONDS = 30.0
"""An event loop's clock stands still while the computer sleeps, the call's does not: we never wait for longer."""
_SHORTEST_WAIT_SECONDS = 0.001


def new_machine(settings: CallSettings, clock: Clock, connect_by: float) -> CallMachine:
    """Make the machine of a call whose connection is there."""
    parts = Dependencies(SystemKem(), SystemEntropy())
    return CallMachine(settings, parts, clock.now(), clock.wall(), connect_by=connect_by)


class Standing:
    """One call's machine and clock, and what follows from them."""

    def __init__(self, machine: CallMachine, clock: Clock) -> None:
        self.machine = machine
        self._clock = clock
        self._crash: CallError | None = None
        self._is_told = False

    def now(self) -> float:
        """Give the time of the call's clock."""
        return self._clock.now()

    @property
    def failure(self) -> CallError | None:
        """Why the call ended otherwise than well."""
        return self._crash or self.machine.failure

    @property
    def has_ended(self) -> bool:
        """Whether the call is over for its user."""
        return self.machine.ended is not None or self._crash is not None

    @property
    def has_settled(self) -> bool:
        """Whether it is known if the call comes about."""
        return self.machine.is_open or self.has_ended

    @property
    def has_told(self) -> bool:
        """Whether there is nothing more to take, and never will be."""
        return self._is_told or (self._crash is not None and self.machine.ended is None)

    def take(self) -> Item | None:
        """Take the oldest item; None if there is none now."""
        item = self.machine.take()
        if isinstance(item, Ended):
            self._is_told = True
        return item

    def told(self, item: Item | None) -> Item | None:
        """Give what is to be handed out for what was taken, None behind the last one.  Raises the call's failure."""
        if (item is None or isinstance(item, Ended)) and self.failure is not None:
            raise self.failure
        return item

    def why_not(self) -> CallError:
        """Give what is to be raised when something is to be sent and the call has ended."""
        return self.failure or CallEnded("the call has ended, so nothing more can be sent", "make a new call")

    def retry_seconds(self) -> float:
        """Tell when to try again what could not be said just now; infinity: not before something happens."""
        return CONTROL_INTERVAL_SECONDS if self.machine.may_send(self._clock.now()) else math.inf

    def crashed(self, crash: BaseException) -> None:
        """Take note of a fault in the shell or the machine: it ends the call, not the program."""
        ended = Ended(Code.INTERNAL, "a fault in the client itself", truncated=True, local=True)
        self._crash = InternalFault(ended, is_proven=True)
        self._crash.__cause__ = crash
        with suppress(Exception):
            self.machine.drop(self._clock.now())  # for its keys to be wiped

    def patience(self) -> float:
        """Tell for how many seconds to wait for bytes at most, before `machine.on_deadline` is to be called."""
        due = self.machine.next_deadline()
        if due is None:
            return 0.0
        return min(max(due - self._clock.now(), _SHORTEST_WAIT_SECONDS), _LOOK_AGAIN_SECONDS)
