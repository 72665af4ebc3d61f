"""What goes to and fro between the proxy and one token process, from its proof until its end.

A call that is out for longer than most is told as slow, after `answer_seconds` as late, which makes the process a
suspect; `hang_grace_seconds` later the process is killed, whether anybody still waits or not.  A process that has been
quiet is asked for a proof, since a token that hangs or has dropped its sessions should be found out before a call finds
it; some tokens drop sessions that are idle for half a minute.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import trio

from sottovoce.hsm.config import HsmConfig
from sottovoce.hsm.errors import HsmUnavailable, HsmWrongPin, TokenLost, TokenProcessFailed
from sottovoce.hsm.messages import PROBE, Probe, Renewals, Reply, Request, decode_message, encode_frame
from sottovoce.hsm.pool.calls import Attempt, Call
from sottovoce.hsm.pool.child import TokenChild
from sottovoce.primitives import wipe_bytes

_ENDS = {TokenLost.__name__, HsmWrongPin.__name__}
"""Answers after which a process is of no use."""
QUIET_SECONDS = 10.0
"""Chosen: a third of the shortest time after which a token is known to drop idle sessions (YubiHSM 2, 30 s)."""
_LAST_LOOKS = 3
"""Chosen: turns of the event loop in which whoever takes answers is woken, reads, and has read."""


class Listener(Protocol):
    """Is told what becomes of sendings.  Synchronous."""

    def answered(self, attempt: Attempt, reply: Reply, body: bytes) -> None:
        """An answer came, which lies in `body`; the process has room for another call."""
        ...

    def slow(self, attempt: Attempt) -> None:
        """A call is out for longer than most are; told once more when it is for twice as long."""
        ...

    def late(self, attempt: Attempt) -> None:
        """A call is out for so long that its process is a suspect now."""
        ...


class Exchange:
    """One token process at work.  `run` ends when the process has ended or has been killed."""

    def __init__(self, node: str, child: TokenChild, limits: HsmConfig, listener: Listener, *, most_out: int) -> None:
        """Take a process that has proved itself, and how many calls it has at a time, those that are long apart."""
        self.trouble = "its process ended"
        self.answers = 0
        self.renewals = Renewals()
        """What it has said of them."""
        self.is_lost = False
        """Whether it ended because it said that it could not go on."""
        self.is_pin_refused = False
        """Whether it ended because the token had forgotten the login, and did not take the PIN any more."""
        self.attempts: dict[int, Attempt] = {}
        """What is out, by its number."""
        self._node = node
        self._most_out = most_out
        self._child = child
        self._limits = limits
        self._listener = listener
        self._next_number = 0
        self._outbox: deque[bytes] = deque()
        self._written = 0
        """How much of the first one is on its way already."""
        self._sender = trio.lowlevel.ParkingLot()
        self._alarm = trio.CancelScope()
        self._used_at = trio.current_time()

    @property
    def pid(self) -> int:
        """The process."""
        return self._child.pid

    def has_room(self, *, is_long: bool) -> bool:
        """Whether the process can do with a call of this kind."""
        out = sum(attempt.call.is_long is is_long for attempt in self.attempts.values())
        return out < (1 if is_long else self._most_out)

    @property
    def suspects(self) -> int:
        """How many calls are out for so long that the process may hang."""
        return sum(attempt.is_late for attempt in self.attempts.values())

    def send(
        self, call: Call, fields: msgspec.Raw, *, slow_seconds: float | None = None, is_hedge: bool = False
    ) -> Attempt:
        """Send a call; it is slow after `slow_seconds`.  Raises OperationRefused when it is too large for a frame."""
        number = self._next_number + 1
        self._outbox.append(encode_frame(Request(number, call.name, fields)))
        if len(self._outbox) == 1:
            self._write()
        self._next_number = number
        now = self._used_at = trio.current_time()
        late_at = now + call.answer_seconds
        slow_at = math.inf if slow_seconds is None else now + slow_seconds
        attempt = Attempt(call, self._node, sent_at=now, slow_at=slow_at, late_at=late_at, is_hedge=is_hedge)
        self.attempts[number] = attempt
        if self._outbox:
            self._sender.unpark()
        self._alarm.deadline = min(self._alarm.deadline, slow_at, late_at)
        return attempt

    async def run(self) -> None:
        """Send calls and take answers until the process is gone."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_frames)
                for until_its_end in (self._take_answers, self._watch):
                    nursery.start_soon(_run_and_cancel, until_its_end, nursery.cancel_scope)
        finally:
            while self._outbox:
                self._forget_first()
        self._child.kill()

    async def _take_answers(self) -> None:
        """Take answers until the process has ended, or says that its token is lost."""
        try:
            while body := await self._child.receive():
                if not self._take(body):
                    return
        except TokenProcessFailed as error:
            self.trouble = str(error)

    async def _send_frames(self) -> None:
        """Send what was not taken at once; the end of the process is the reader's to see."""
        while True:
            while self._outbox:
                await self._child.writable()
                self._write()
            await self._sender.park()

    def _write(self) -> None:
        """Send what is taken now: all, but for a process that does not read."""
        try:
            while self._outbox:
                frame = self._outbox[0]
                self._written += self._child.write(memoryview(frame)[self._written :])
                if self._written < len(frame):
                    return
                self._forget_first()
        except HsmUnavailable:
            while self._outbox:
                self._forget_first()

    def _forget_first(self) -> None:
        wipe_bytes(self._outbox.popleft())  # a question may hold a secret
        self._written = 0

    def _take(self, body: bytes) -> bool:
        """Take an answer; false if it says that the token is lost, or lets nobody in again."""
        reply = decode_message(body, Reply)
        self.renewals = reply.renewals
        attempt = self.attempts.get(reply.id)
        if attempt is None:
            return True
        failure = reply.failure
        if failure is not None and (failure.kind in _ENDS or attempt.call.name == PROBE.name):
            self.trouble = failure.text
            self.is_lost = True
            self.is_pin_refused = failure.kind == HsmWrongPin.__name__
            return False
        del self.attempts[reply.id]
        self.answers += 1
        self._listener.answered(attempt, reply, body)
        return True

    async def _watch(self) -> None:
        """Tell what is slow or late, until the oldest call in flight has waited too long."""
        while True:
            with trio.CancelScope(deadline=self._next_instant()) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            if not self.attempts and now >= self._used_at + QUIET_SECONDS:
                self._ask_for_proof()
            if self._hangs(now):
                for _ in range(_LAST_LOOKS):  # it may be us who stood still: what came meanwhile is taken first
                    await trio.lowlevel.checkpoint()
                if self._hangs(now):
                    self.trouble = "it did not answer in time, and was killed"
                    return
            for attempt in list(self.attempts.values()):
                self._look_at(attempt, now)

    def _hangs(self, now: float) -> bool:
        """Whether something is still out `hang_grace_seconds` after it was found late, and not only after it was."""
        grace = self._limits.hang_grace_seconds
        return any(attempt.is_late and now >= attempt.late_at + grace for attempt in self.attempts.values())

    def _look_at(self, attempt: Attempt, now: float) -> None:
        if not attempt.is_slow and now >= attempt.slow_at:
            attempt.is_slow = True
            self._listener.slow(attempt)
        if not attempt.is_urgent and now >= attempt.urgent_at:
            attempt.is_urgent = True
            self._listener.slow(attempt)
        if not attempt.is_late and now >= attempt.late_at:
            attempt.is_late, attempt.late_at = True, now
            self._listener.late(attempt)

    def _next_instant(self) -> float:
        if not self.attempts:
            return self._used_at + QUIET_SECONDS
        return min(map(self._next_of, self.attempts.values()))

    def _next_of(self, attempt: Attempt) -> float:
        late_at = attempt.late_at + (self._limits.hang_grace_seconds if attempt.is_late else 0)
        if attempt.is_urgent:
            return late_at
        return min(late_at, attempt.urgent_at if attempt.is_slow else attempt.slow_at)

    def _ask_for_proof(self) -> None:
        fields = msgspec.Raw(msgspec.msgpack.encode(Probe()))
        call = Call(PROBE.name, lambda _: fields, is_idempotent=True, answer_seconds=self._limits.deadline_seconds)
        call.leave()
        self.send(call, fields)


async def _run_and_cancel(work: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    """Whichever ends first ends the others: a process that cannot even be killed has to keep no call waiting."""
    await work()
    scope.cancel()
