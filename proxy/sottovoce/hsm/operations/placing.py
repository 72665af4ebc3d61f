"""Has several nodes do the same with a key, at the same time, and says which did."""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol

import msgspec
import trio

from sottovoce.hsm.calling import Pool
from sottovoce.hsm.errors import HsmError, OperationRefused, QuorumMissing
from sottovoce.hsm.messages import Answer, Operation, Question
from sottovoce.hsm.reports import PoolStatus, TokenState


class KeyPool(Pool, Protocol):
    """A Pool that says which of its nodes are up."""

    @property
    def status(self) -> PoolStatus:
        """What it does now."""
        ...


class Terms(msgspec.Struct, frozen=True):
    """How long an answer may take, and for whom it is."""

    deadline_seconds: float
    tenant: str


class Outcome(msgspec.Struct, Generic[Answer], frozen=True):
    """What became of it on each node that was asked."""

    done: dict[str, Answer]
    failed: dict[str, HsmError]

    def refusal(self, what: str, quorum: int) -> HsmError:
        """Give the error for too few that did it: the caller's fault, if all of them say so."""
        errors = list(self.failed.values())
        if errors and not self.done and all(isinstance(error, OperationRefused) for error in errors):
            return errors[0]
        reasons = "; ".join(f"{node}: {error}" for node, error in sorted(self.failed.items()))
        return QuorumMissing(f"{what} has to be done by {quorum} tokens, {len(self.done)} did it ({reasons})")


async def on_each(
    pool: Pool,
    nodes: Iterable[str],
    operation: Operation[Question, Answer],
    question_for: Callable[[str], Question],
    terms: Terms,
) -> Outcome[Answer]:
    """Ask each of `nodes` by itself, all at once.  After cancellation nobody knows what they did."""
    outcome: Outcome[Answer] = Outcome({}, {})

    async def ask(node: str) -> None:
        def only_this(asked: str) -> Question | None:
            return question_for(node) if asked == node else None

        try:
            answered = await pool.call_on(
                operation, only_this, deadline_seconds=terms.deadline_seconds, tenant=terms.tenant
            )
        except HsmError as error:
            outcome.failed[node] = error
        else:
            outcome.done[node] = answered.answer

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(ask, node)
    return outcome


def nodes_up(pool: KeyPool) -> tuple[str, ...]:
    """Give the nodes that take calls."""
    return tuple(node.name for node in pool.status.nodes if node.state is TokenState.UP)


def see_quorum(pool: KeyPool, what: str) -> tuple[str, ...]:
    """Give the nodes that take calls, if they are enough for a key to be made.  Raises QuorumMissing."""
    up, quorum = nodes_up(pool), pool.status.quorum
    if len(up) < quorum:
        down = "; ".join(f"{node.name}: {node.reason}" for node in pool.status.nodes if node.name not in up)
        text = f"{what} takes {quorum} tokens, {len(up)} are up ({down}); keys that are there go on"
        raise QuorumMissing(text)
    return up
