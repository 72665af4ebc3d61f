"""What falls due in a call: the session's own deadlines, a heartbeat, a client that does not read, a silent backend."""

from typing import Protocol

from sottovoce.edge.call.vigil import Vigil
from sottovoce.plane import CallFlow
from sottovoce.primitives import Entropy
from sottovoce.relay import Leg
from sottovoce.session import Beat, ServerSession, events
from sottovoce.transport import Alarm, Clock
from sottovoce.wire import PING_BYTES, Code

_REST_SECONDS = 5.0
"""From one look at whether ciphers may rest to the next, at least: where a call is paced, its clock rings for each
record, and a peer could have most of its records cost a key."""
_AGO = float("-inf")


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

    @property
    def leg(self) -> Leg | None:
        """The backend's, if there is one."""
        ...

    def crashed(self, error: Exception) -> None:
        """One of these methods raised."""
        ...

    def backend_spoke(self) -> None:
        """The backend has said something."""
        ...

    def backend_said_nothing(self) -> None:
        """The backend was asked something, and has been silent for too long."""
        ...


class Dues:
    """One call's; nothing is looked at before `begin`."""

    __slots__ = ("_alarm", "_call", "_clock", "_entropy", "_flow", "_looked_at", "_session", "_vigil")

    def __init__(self, session: ServerSession, flow: CallFlow, vigil: Vigil, clock: Clock, entropy: Entropy) -> None:
        """Look at these."""
        self._session = session
        self._flow = flow
        self._vigil = vigil
        self._clock = clock
        self._entropy = entropy
        self._alarm: Alarm | None = None
        self._looked_at = _AGO  # whether it is silent

    def begin(self, call: DuesUser) -> None:
        """Do what is due, when it is due, until the session is over or `end` is called."""
        self._call = call
        self._alarm = Alarm(self._clock, self._on_alarm)
        self.wake()

    def end(self) -> None:
        """Look at nothing any more."""
        if self._alarm is not None:
            self._alarm.drop()
            self._alarm = None

    def wake(self) -> None:
        """Something new falls due."""
        deadline = self._session.next_deadline()
        if self._alarm is not None and deadline is not None:
            self._alarm.set(min(deadline, self._vigil.next_at, self._flow.stalls_at))

    def _on_alarm(self, now: float) -> None:
        call = self._call
        try:
            if now >= min(self._session.next_deadline() or now, self._vigil.next_at, self._flow.stalls_at):
                self._do(call, now)
            if now - self._looked_at >= _REST_SECONDS:
                self._looked_at = now
                self._flow.rest()
            self.wake()
        except Exception as error:  # noqa: BLE001  our own fault, in one call
            self.end()
            call.crashed(error)

    def _do(self, call: DuesUser, now: float) -> None:
        call.take_events(self._session.on_deadline(now))
        if self._flow.is_stalled(now):
            call.end(Code.RATE_LIMITED, "the client does not read")
        else:
            self._look_at_client(call, now)
            self._look_at_backend(call, now)
        call.settle()

    def _look_at_client(self, call: DuesUser, now: float) -> None:
        beat = self._vigil.beat(now)
        if beat is Beat.ASK:
            data = self._entropy.random(PING_BYTES)
            if self._flow.is_clogged or not self._session.send_ping(data, now):
                self._vigil.put_off(now)
        elif beat is Beat.GIVE_UP:
            call.end(Code.GOING_AWAY, "idle: nothing came in three heartbeats")

    def _look_at_backend(self, call: DuesUser, now: float) -> None:
        leg = call.leg
        if not self._vigil.has_fallen_silent(now) or leg is None:
            return
        told = leg.statistics
        if told.frames_from_backend:
            call.backend_spoke()
        elif not told.frames_to_backend:
            self._vigil.wait_for_backend(now)  # nobody has asked it anything yet
        else:
            call.backend_said_nothing()
