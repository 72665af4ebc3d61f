"""Stand-ins for tokens: they answer what a test has them answer, on Trio's clock."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import msgspec
import trio

from sottovoce.hsm import ONLY_NODE, Answered, Ask, HsmError, HsmTimeout, HsmUnavailable, Operation, TokenLost
from sottovoce.hsm.messages import Answer, Question

MOST_OUT = 2
"""Calls that a node has at a time."""
Answering = Callable[[msgspec.Struct], Awaitable[msgspec.Struct]]


class FakePool:
    """Notes each question with its time and node, has that node's `answering` answer it, and keeps deadlines.

    The first node answers that is up and is given a question; when it says TokenLost, the next one.
    """

    def __init__(self, answering: Mapping[str, Answering]) -> None:
        self.nodes = tuple(answering)
        self.most_out = MOST_OUT * len(answering)
        self.asked: list[tuple[float, msgspec.Struct]] = []
        self.asked_nodes: list[str] = []
        self.asks: list[Callable[[str], msgspec.Struct | None]] = []
        self.down: set[str] = set()
        self.cancelled = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.answering = dict(answering)

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        return (await self.call_on(operation, lambda _: question, deadline_seconds=deadline_seconds)).answer

    async def call_on(
        self, operation: Operation[Question, Answer], ask: Ask[Question], *, deadline_seconds: float, tenant: str = ""
    ) -> Answered[Answer]:
        del tenant
        self.asks.append(ask)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        has_asked = False
        try:
            with trio.move_on_after(deadline_seconds):
                for node in self.nodes:
                    question = None if node in self.down else ask(node)
                    if question is None:
                        continue
                    has_asked = True
                    self.asked.append((trio.current_time(), question))
                    self.asked_nodes.append(node)
                    try:
                        return Answered(node, cast("Answer", await self.answering[node](question)))
                    except TokenLost:
                        self.down.add(node)
                await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        text = f"no answer to {operation.name}"
        raise HsmTimeout(text) if has_asked else HsmUnavailable(text)


class FakeToken(FakePool):
    """A pool of one."""

    def __init__(self, answering: Answering) -> None:
        super().__init__({ONLY_NODE: answering})


def after(seconds: float, outcome: Callable[[msgspec.Struct], msgspec.Struct] | HsmError) -> Answering:
    """Answer so many seconds later, or fail then."""

    async def answering(question: msgspec.Struct) -> msgspec.Struct:
        await trio.sleep(seconds)
        if isinstance(outcome, HsmError):
            raise outcome
        return outcome(question)

    return answering


class FixedEntropy:
    """Chance that is none."""

    def __init__(self, byte: int = 0) -> None:
        self._byte = byte

    def random(self, length_bytes: int) -> bytes:
        return bytes([self._byte]) * length_bytes


class SteppedClock:
    """Trio's clock, and a wall clock beside it that a test may set."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self.offset = wall - trio.current_time()

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return trio.current_time() + self.offset
