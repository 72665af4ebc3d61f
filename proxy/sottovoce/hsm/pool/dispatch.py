"""Which call goes to which node, and what becomes of it where the node fails.  Synchronous; nothing here waits.

A call is sent when a node has a free thread, so it goes to one that is up *then*; among several to the one with the
least to do, and equals take turns: a node that nothing is asked of would not notice that it is ill.  An idempotent call
goes to another node as soon as the one that had it dies, becomes a suspect, or lacks the key that the call needs;
whichever answer comes first is the call's.  Others fail then, since nobody knows what became of them.  A suspect gets
new calls only where no other node is up.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import trio

from sottovoce.hsm.errors import (
    HsmBusy,
    HsmError,
    HsmUnavailable,
    HsmWrongPin,
    KeyAbsent,
    KeyMissing,
    SealedSeedInvalid,
)
from sottovoce.hsm.messages import Reply
from sottovoce.hsm.pool.calls import Attempt, Call
from sottovoce.hsm.pool.hedging import Budget, Latencies
from sottovoce.hsm.pool.turns import Turns
from sottovoce.hsm.reports import TokenState, TokenTimes
from sottovoce.hsm.seal import HsmSealed
from sottovoce.primitives import wipe_bytes

_MAX_ATTEMPTS = 5
"""Sends of one call before it is taken for the cause of what happens to the process."""
_FAULTS_OF_ONE_NODE = (HsmUnavailable, KeyAbsent, KeyMissing, SealedSeedInvalid)
"""Answers that another node may not give."""


class Target(Protocol):
    """What is needed of a node here."""

    name: str
    state: TokenState
    trouble: str
    suspicions: int
    latencies: Latencies

    @property
    def attempts(self) -> Iterable[Attempt]:
        """What is out."""
        ...

    @property
    def in_flight(self) -> int:
        """How many calls are out."""
        ...

    @property
    def is_up(self) -> bool:
        """Whether it takes calls."""
        ...

    @property
    def is_well(self) -> bool:
        """Whether it takes calls and is no suspect."""
        ...

    def has_room(self, *, is_long: bool) -> bool:
        """Whether it can be sent a call of this kind now."""
        ...

    def send(
        self, call: Call, fields: msgspec.Raw, *, slow_seconds: float | None = None, is_hedge: bool = False
    ) -> Attempt:
        """Send a call."""
        ...


class Dispatch:
    """The queue before the nodes, and all that is out at them."""

    def __init__(self, limit: int, weights: Mapping[str, int], times: TokenTimes) -> None:
        """Begin with no call and no node; `nodes` is set before the first call."""
        self.nodes: Sequence[Target] = ()
        self.started = trio.Event()
        """Set once a node has come up, or need not because the HSM is sealed."""
        self.sealed_because: str | None = None
        """While it is sealed, why."""
        self.hedges_won = 0
        self.hedges_lost = 0
        self._times = times
        self._lines = {is_long: Turns[Call](limit, weights) for is_long in (False, True)}
        """What waits, apart for calls that are long, which have threads of their own."""
        self._budget = Budget()
        self._not_started: dict[str, HsmError] = {}
        self._sendings = 0
        self._last_sendings: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return sum(map(len, self._lines.values()))

    def submit(self, call: Call, tenant: str) -> None:
        """Have a call answered.

        Raises HsmBusy when too many wait, HsmWrongPin where every node is locked, HsmSealed while the HSM is.
        """
        if self.sealed_because is not None:
            raise HsmSealed(self.sealed_because)
        if all(node.state is TokenState.LOCKED for node in self.nodes):
            raise HsmWrongPin(self.nodes[0].trouble)
        if not self._line(call).add(call, tenant):
            text = f"{len(self._line(call))} calls wait for the token already"
            raise HsmBusy(text)
        self._send_calls()

    def withdraw(self, call: Call) -> None:
        """The caller is gone: what waits is never sent, and an answer that still comes is overwritten."""
        self._line(call).remove(call)
        if call.outcome is None:
            self._settle_hedge(call, won=False)
        call.leave()

    def answered(self, attempt: Attempt, reply: Reply, body: bytes) -> None:
        """Take an answer; the first one is the call's."""
        call = attempt.call
        call.out.pop(attempt.node, None)
        if reply.failure is None:
            self._node(attempt).latencies.add(call.name, trio.current_time() - attempt.sent_at)
        if call.is_over:
            wipe_bytes(body)
        elif reply.failure is None:
            self._settle_hedge(call, won=attempt.is_hedge)
            self._finish(call, reply.fields, attempt.node, body)
        else:
            self._refused(attempt, reply.failure.to_error())
        self._send_calls()

    def slow(self, attempt: Attempt) -> None:
        """A call is out for longer than most: it may be sent to another node, too."""
        if not attempt.call.is_over:
            self._send_calls()

    def late(self, attempt: Attempt) -> None:
        """A node is a suspect: what it has may go to another."""
        call = attempt.call
        self._node(attempt).suspicions += 1
        is_stuck = all(each.is_late for each in call.out.values()) and call.attempts < _MAX_ATTEMPTS
        if call.is_idempotent and not call.is_over and is_stuck and len(self.nodes) > 1:
            self._give_back(call)
        self._send_calls()

    def went(self, name: str, reason: str, attempts: list[Attempt]) -> None:
        """A node is down: others take what may be sent again; what must not be sent twice fails."""
        for attempt in reversed(attempts):
            call = attempt.call
            call.out.pop(name, None)
            if call.is_over:
                continue
            if not call.is_idempotent:
                text = f"the token went during {call.name} ({reason}): its outcome is unknown"
                self._finish(call, HsmUnavailable(text), name)
            elif call.attempts >= _MAX_ATTEMPTS and not call.out:
                text = f"the token went {call.attempts} times during {call.name}: {reason}"
                self._finish(call, HsmUnavailable(text), name)
            elif not call.out:
                self._give_back(call)
        self._send_calls()

    def came_up(self) -> None:
        """A node takes calls."""
        self.started.set()
        self._send_calls()

    def did_not_start(self, name: str, error: HsmError) -> None:
        """A node did not start; raises the first node's error where none did."""
        self._not_started[name] = error
        if len(self._not_started) == len(self.nodes) and not self.started.is_set():
            raise self._not_started[self.nodes[0].name]

    def locked(self) -> None:
        """A node is locked; where all are, nothing waits any more."""
        if all(node.state is TokenState.LOCKED for node in self.nodes):
            for call in self._clear():
                call.finish(HsmWrongPin(self.nodes[0].trouble))

    def seal(self, reason: str) -> None:
        """Fail every call that waits or is out, and those to come."""
        self.sealed_because = reason
        self.started.set()
        out = {attempt.call for node in self.nodes for attempt in node.attempts}
        for call in (*self._clear(), *out):
            if not call.is_over:
                self._finish(call, HsmSealed(reason))

    def unseal(self) -> None:
        """Take calls again."""
        self.sealed_because = None

    def _send_calls(self) -> None:
        """Send what waits as long as there is room; where nothing waits, send what is slow a second time."""
        for is_long, line in self._lines.items():
            takers = self._takers(is_long=is_long) if len(line) else []
            while takers and len(line):
                node = min(takers, key=self._work)
                if not self._feed(node, line) or not node.has_room(is_long=is_long):
                    takers.remove(node)
        if len(self.nodes) > 1:
            self._hedge()

    def _takers(self, *, is_long: bool) -> list[Target]:
        """Give the nodes that can be sent a call; suspects only where no other is up."""
        usable = [node for node in self.nodes if node.is_well] or [node for node in self.nodes if node.is_up]
        return [node for node in usable if node.has_room(is_long=is_long)]

    def _feed(self, node: Target, line: Turns[Call]) -> bool:
        """Send the next call in a line that this node can answer; false where none waits."""
        prepared: msgspec.Raw | Exception | None = None
        hopeless: list[Call] = []

        def may(call: Call) -> bool:
            nonlocal prepared
            prepared = _question(call, node.name)
            if len(call.unable) == len(self.nodes):
                hopeless.append(call)
            return prepared is not None

        call = line.take(may)
        for each in hopeless:
            self._finish(each, HsmUnavailable(f"no token can answer {each.name}"))
        if call is None or prepared is None:
            return False
        self._send(call, prepared, node)
        return True

    def _send(self, call: Call, prepared: msgspec.Raw | Exception, node: Target, *, is_hedge: bool = False) -> None:
        slow_seconds = None if is_hedge or call.attempts else self._slow_seconds(call)
        if isinstance(prepared, Exception):
            self._finish(call, prepared)
            return
        try:
            attempt = node.send(call, prepared, slow_seconds=slow_seconds, is_hedge=is_hedge)
        except HsmError as error:
            self._finish(call, error)
            return
        self._sendings += 1
        self._last_sendings[node.name] = self._sendings
        call.out[node.name] = attempt
        call.attempts += 1
        if call.attempts == 1:
            self._times.call_waited(node.name, attempt.sent_at - call.asked_at)
            self._budget.earn()

    def _refused(self, attempt: Attempt, error: HsmError) -> None:
        """A node answered with an error: another may do better, or it is the call's answer."""
        call = attempt.call
        if call.is_idempotent and isinstance(error, _FAULTS_OF_ONE_NODE):
            call.unable.add(attempt.node)
            if call.out:
                return
            if any(node.is_up and node.name not in call.unable for node in self.nodes):
                self._give_back(call)
                return
        self._finish(call, error, attempt.node)

    def _finish(self, call: Call, outcome: msgspec.Raw | Exception, node: str = "", body: bytes = b"") -> None:
        self._line(call).remove(call)
        call.finish(outcome, node, body)

    def _give_back(self, call: Call) -> None:
        self._line(call).remove(call)
        self._line(call).give_back(call)

    def _line(self, call: Call) -> Turns[Call]:
        return self._lines[call.is_long]

    def _clear(self) -> list[Call]:
        return [call for line in self._lines.values() for call in line.clear()]

    def _hedge(self) -> None:
        """Send slow calls to idle nodes, too, as far as the budget goes."""
        now = trio.current_time()
        slow = [attempt for node in self.nodes for attempt in node.attempts if _may_be_hedged(attempt)]
        for attempt in slow:
            call = attempt.call
            takers = [node for node in self._takers(is_long=call.is_long) if node.is_well and node.name not in call.out]
            is_urgent = now >= attempt.urgent_at
            if not takers or not self._budget.has_price(is_urgent=is_urgent):
                continue
            node = min(takers, key=self._work)
            prepared = _question(attempt.call, node.name)
            if isinstance(prepared, msgspec.Raw) and self._budget.spend(is_urgent=is_urgent):
                attempt.call.is_hedged = True
                self._send(attempt.call, prepared, node, is_hedge=True)

    def _slow_seconds(self, call: Call) -> float | None:
        """How long the quickest node takes for most calls of this kind; None where a second sending is not to be."""
        if len(self.nodes) == 1 or not call.is_idempotent:
            return None
        known = [seconds for node in self.nodes if node.is_well and (seconds := node.latencies.p95(call.name))]
        return min(known, default=None)

    def _settle_hedge(self, call: Call, *, won: bool) -> None:
        """Count how the second sending of a call ended, if it had one."""
        if call.is_hedged:
            self.hedges_won += won
            self.hedges_lost += not won

    def _work(self, node: Target) -> tuple[int, int]:
        """Order nodes by what they have to do, then by when they were sent something last."""
        return node.in_flight, self._last_sendings.get(node.name, 0)

    def _node(self, attempt: Attempt) -> Target:
        return next(node for node in self.nodes if node.name == attempt.node)


def _question(call: Call, node: str) -> msgspec.Raw | Exception | None:
    """Give what to ask a node, None where it has or cannot answer the call, or what the caller's `ask` raised."""
    if node in call.out or node in call.unable:
        return None
    try:
        question = call.question_for(node)
    except Exception as error:  # noqa: BLE001  the caller's own, who gets it
        return error
    if question is None:
        call.unable.add(node)
    return question


def _may_be_hedged(attempt: Attempt) -> bool:
    """Whether a call is slow, and out at one node only."""
    return attempt.is_slow and attempt.call.is_idempotent and not attempt.call.is_over and len(attempt.call.out) == 1
