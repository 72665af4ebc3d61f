"""What falls due in a call: the session's own deadlines, a heartbeat, a client that does not read, a silent backend."""

from collections.abc import Callable
from typing import Protocol

import trio

from sottovoce.edge.call.vigil import Vigil
from sottovoce.plane import CallFlow
from sottovoce.primitives import Entropy
from sottovoce.relay import Leg
from sottovoce.session import Beat, ServerSession, events
from sottovoce.transport import Clock
from sottovoce.wire import PING_BYTES, Code

_NAP_SECONDS = 30.0
"""The longest sleep: while the machine is suspended Trio's clock stands still, the session's does not."""


class DuesUser(Protocol):
    """The call."""

    def take_events(self, arrived: list[events.Event]) -> None:
        """Take what the session says."""
        ...

    def settle(self) -> None:
        """Write what there is to write."""
        ...

    def end(self, code: Code, reason: str) -> None:
        """End the session."""
        ...

    def backend_said_nothing(self) -> None:
        """The backend was asked something, and has been silent for too long."""
        ...


class Dues:
    """One call's."""

    def __init__(self, session: ServerSession, flow: CallFlow, vigil: Vigil, clock: Clock, entropy: Entropy) -> None:
        """Look at these."""
        self._session = session
        self._flow = flow
        self._vigil = vigil
        self._clock = clock
        self._entropy = entropy
        self._bell = trio.lowlevel.ParkingLot()

    def wake(self) -> None:
        """Something new falls due."""
        self._bell.unpark()

    async def run(self, call: DuesUser, leg: Callable[[], Leg | None], first_word: Callable[[], None]) -> None:
        """Do what is due, when it is due, until the session is over; `leg` gives the backend's, if there is one."""
        while (deadline := self._session.next_deadline()) is not None:
            due_at = min(deadline, self._vigil.next_at, self._flow.stalls_at)
            with trio.move_on_after(min(max(due_at - self._clock.now(), 0), _NAP_SECONDS)):
                await self._bell.park()
            now = self._clock.now()
            call.take_events(self._session.on_deadline(now))
            if self._flow.is_stalled(now):
                call.end(Code.RATE_LIMITED, "the client does not read")
            else:
                self._look_at_client(call, now)
                self._look_at_backend(call, leg(), first_word, now)
            call.settle()

    def _look_at_client(self, call: DuesUser, now: float) -> None:
        beat = self._vigil.beat(now)
        if beat is Beat.ASK:
            data = self._entropy.random(PING_BYTES)
            if self._flow.is_clogged or not self._session.send_ping(data, now):
                self._vigil.put_off(now)
        elif beat is Beat.GIVE_UP:
            call.end(Code.GOING_AWAY, "idle: nothing came in three heartbeats")

    def _look_at_backend(self, call: DuesUser, leg: Leg | None, first_word: Callable[[], None], now: float) -> None:
        if not self._vigil.has_fallen_silent(now) or leg is None:
            return
        told = leg.statistics
        if told.frames_from_backend:
            first_word()
        elif not told.frames_to_backend:
            self._vigil.wait_for_backend(now)  # nobody has asked it anything yet
        else:
            call.backend_said_nothing()
