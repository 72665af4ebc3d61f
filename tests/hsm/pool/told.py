"""Nodes that do as a test says, behind a Dispatch."""

import math
from collections.abc import Iterable

import msgspec
import trio

from sottovoce.hsm import HsmError, TokenState, TokenTimes
from sottovoce.hsm.messages import Failure, Reply
from sottovoce.hsm.pool.calls import Attempt, Call
from sottovoce.hsm.pool.dispatch import Dispatch
from sottovoce.hsm.pool.hedging import Latencies
from sottovoce.hsm.reports import Untimed

ROOM = 2
QUESTION = msgspec.Raw(b"\x80")


class Told:
    """A node without a process: it is up or not, and has what it was sent until a test says otherwise."""

    def __init__(self, name: str, *, is_up: bool = True) -> None:
        self.name = name
        self.state = TokenState.UP
        self.trouble = f"{name} is away"
        self.suspicions = 0
        self.latencies = Latencies()
        self.out: list[Attempt] = []
        self.is_up = is_up
        self.slow_seconds: float | None = None

    @property
    def attempts(self) -> Iterable[Attempt]:
        return self.out

    @property
    def in_flight(self) -> int:
        return len(self.out)

    @property
    def is_well(self) -> bool:
        return self.is_up and not any(attempt.is_late for attempt in self.out)

    def has_room(self, *, is_long: bool) -> bool:
        out = sum(attempt.call.is_long is is_long for attempt in self.out)
        return self.is_up and out < (1 if is_long else ROOM)

    def send(
        self, call: Call, fields: msgspec.Raw, *, slow_seconds: float | None = None, is_hedge: bool = False
    ) -> Attempt:
        assert self.has_room(is_long=call.is_long)
        assert fields == QUESTION
        self.slow_seconds = slow_seconds
        now = trio.current_time()
        slow_at = math.inf if slow_seconds is None else now + slow_seconds
        attempt = Attempt(call, self.name, sent_at=now, slow_at=slow_at, late_at=math.inf, is_hedge=is_hedge)
        self.out.append(attempt)
        return attempt


class Room:
    """Some such nodes behind a Dispatch."""

    def __init__(self, names: str = "ab", *, limit: int = 100, times: TokenTimes | None = None) -> None:
        self.dispatch = Dispatch(limit, {}, times or Untimed())
        self.nodes = {name: Told(name) for name in names}
        self.dispatch.nodes = list(self.nodes.values())

    def submit(
        self, *, able: str = "abcdef", is_idempotent: bool = True, is_long: bool = False, tenant: str = ""
    ) -> Call:
        call = Call(
            "sign",
            lambda node: QUESTION if node in able else None,
            is_idempotent=is_idempotent,
            answer_seconds=1,
            is_long=is_long,
        )
        self.dispatch.submit(call, tenant)
        return call

    def answer(self, name: str, index: int = 0, error: HsmError | None = None) -> Attempt:
        attempt = self.nodes[name].out.pop(index)
        failure = None if error is None else Failure(type(error).__name__, str(error))
        body = bytes(bytearray(b"an answer"))
        self.dispatch.answered(attempt, Reply(0, msgspec.Raw(body), failure), body)
        return attempt

    def die(self, name: str) -> None:
        node = self.nodes[name]
        attempts, node.out, node.is_up = node.out, [], False
        self.dispatch.went(name, "it died", attempts)

    def rise(self, name: str) -> None:
        self.nodes[name].is_up = True
        self.dispatch.came_up()

    def slow(self, name: str, index: int = 0) -> None:
        attempt = self.nodes[name].out[index]
        attempt.is_slow = True
        self.dispatch.slow(attempt)

    def late(self, name: str, index: int = 0) -> None:
        attempt = self.nodes[name].out[index]
        attempt.is_slow = attempt.is_late = True
        self.dispatch.late(attempt)

    def calls_at(self, name: str) -> list[Call]:
        return [attempt.call for attempt in self.nodes[name].out]

    def save(self, calls: int, seconds: float = 0.01) -> None:
        """Have so many calls answered in about so much time, which pays for second sendings."""
        for _ in range(calls):
            self.dispatch.withdraw(self.submit())
            for name, node in self.nodes.items():
                node.latencies.add("sign", seconds)
                if node.out:
                    self.answer(name)
