"""What the packages above see of tokens: something that answers questions, and says which token did.

Tokens are called nodes where there may be several.  Each has keys of its own, so the answer to some questions depends
on who gives it, and so may the question: a root is made for the certificate of the node that is to sign it.
"""

from collections.abc import Callable
from typing import Generic, Protocol

import msgspec

from sottovoce.hsm.messages import Answer, Operation, Question

Ask = Callable[[str], Question | None]
"""Gives the question for a node; None where that node cannot answer.  Quick; called just before each sending."""


class Answered(msgspec.Struct, Generic[Answer], frozen=True):
    """An answer, and the node that gave it."""

    node: str
    answer: Answer


class Caller(Protocol):
    """Answers questions, by whichever node is well."""

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        """Have `question` answered within `deadline_seconds`.  Raises HsmError."""
        ...


class Pool(Caller, Protocol):
    """A Caller of several nodes."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all that are configured, up or not, in that order."""
        ...

    @property
    def most_out(self) -> int:
        """How many calls all of them together have, before others wait."""
        ...

    async def call_on(
        self, operation: Operation[Question, Answer], ask: Ask[Question], *, deadline_seconds: float, tenant: str = ""
    ) -> Answered[Answer]:
        """Have what `ask` gives for a node answered by that node, within `deadline_seconds`.

        Where a node fails or hangs, an idempotent operation goes to another, for which `ask` is called anew.  Raises
        HsmError; HsmUnavailable at the deadline when no node that can answer was up.
        """
        ...
