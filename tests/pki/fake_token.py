"""Stand-ins for a token: they answer what a test has them answer, on Trio's clock."""

from collections.abc import Awaitable, Callable
from typing import cast

import msgspec
import trio

from sottovoce.hsm import HsmError, HsmTimeout, Operation
from sottovoce.hsm.messages import Answer, Question

Answering = Callable[[msgspec.Struct], Awaitable[msgspec.Struct]]


class FakeToken:
    """Notes each question with its time, and has `answering` answer it; keeps deadlines as a Token does."""

    def __init__(self, answering: Answering) -> None:
        self.asked: list[tuple[float, msgspec.Struct]] = []
        self.cancelled = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._answering = answering

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        self.asked.append((trio.current_time(), question))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            with trio.move_on_after(deadline_seconds):
                return cast("Answer", await self._answering(question))
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        text = f"no answer to {operation.name}"
        raise HsmTimeout(text)


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
