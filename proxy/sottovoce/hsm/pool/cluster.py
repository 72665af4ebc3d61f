"""`Cluster`: several tokens as one that answers, as long as one of them does."""

from collections.abc import Sequence

import msgspec
import trio

from sottovoce.hsm.calling import Answered, Ask
from sottovoce.hsm.config import HsmConfig
from sottovoce.hsm.errors import HsmError, HsmTimeout, HsmUnavailable, OperationRefused
from sottovoce.hsm.messages import Answer, Operation, Question, decode_answer, encode_question
from sottovoce.hsm.pool.calls import Call
from sottovoce.hsm.pool.dispatch import Dispatch
from sottovoce.hsm.pool.node import Node
from sottovoce.hsm.reports import PoolStatus, TokenState, TokenTimes, timed
from sottovoce.primitives import one_line, wipe_bytes


class Cluster:
    """A pool of tokens, one at least.  Made by `open_pool` and `open_token`."""

    def __init__(self, config: HsmConfig, nodes: Sequence[Node], dispatch: Dispatch, times: TokenTimes) -> None:
        """Take its parts; whoever made them runs the nodes."""
        self._config = config
        self._nodes = tuple(nodes)
        self._dispatch = dispatch
        self._times = times

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all, up or not, in the order of the configuration."""
        return tuple(node.name for node in self._nodes)

    @property
    def most_out(self) -> int:
        """How many calls all together have, up or not, before others wait; those that are long not counted."""
        return sum(node.most_out for node in self._config.all_nodes.values())

    @property
    def state(self) -> TokenState:
        """UP if any is; SEALED or LOCKED only if all are."""
        states = {node.state for node in self._nodes}
        for state in (TokenState.UP, TokenState.DOWN, TokenState.STARTING, TokenState.SEALED):
            if state in states:
                return state
        return TokenState.LOCKED

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return self._dispatch.waiting

    @property
    def in_flight(self) -> int:
        """Calls that token processes have and have not answered."""
        return sum(node.in_flight for node in self._nodes)

    @property
    def replacements(self) -> int:
        """How many token processes went."""
        return sum(node.replacements for node in self._nodes)

    @property
    def status(self) -> PoolStatus:
        """What it does now, and has done."""
        return PoolStatus(
            nodes=tuple(node.status for node in self._nodes),
            waiting=self.waiting,
            quorum=self._config.needed,
            hedges_won=self._dispatch.hedges_won,
            hedges_lost=self._dispatch.hedges_lost,
        )

    def hold(self, node: str, reason: str) -> None:
        """Take a token out of use until it is released: its calls go to others.  Raises OperationRefused.

        That is for one that is not known, and for the last one that is up.
        """
        held = self._named(node)
        if not any(each.is_up for each in self._nodes if each is not held):
            raise OperationRefused(f"no other token than {node} is up: calls would end with it")
        held.hold(reason)

    def release(self, node: str) -> None:
        """Take a token into use again, whatever kept it from that.  Raises OperationRefused for one that is well."""
        held = self._named(node)
        if held.is_up:
            raise OperationRefused(f"token {node} is in use already")
        held.release()

    def _named(self, name: str) -> Node:
        for node in self._nodes:
            if node.name == name:
                return node
        raise OperationRefused(f"there is no token {one_line(name)}: there are {', '.join(self.nodes)}")

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        """Have any token answer `question`, within `deadline_seconds`.  Raises as `call_on` does."""
        answered = await self.call_on(operation, lambda _: question, deadline_seconds=deadline_seconds)
        return answered.answer

    async def call_on(
        self, operation: Operation[Question, Answer], ask: Ask[Question], *, deadline_seconds: float, tenant: str = ""
    ) -> Answered[Answer]:
        """Have what `ask` gives for a token answered by that token, within `deadline_seconds`.

        Raises HsmBusy at once when the queue is full, HsmTimeout at the deadline (HsmUnavailable if no token that can
        answer is up then, and at once if none of all can), HsmWrongPin while all are locked, HsmSealed while the HSM
        is, what the token process answered with, or what `ask` raises.  After cancellation all is as usable as before.
        """
        encoded: list[bytes] = []

        def question_for(node: str) -> msgspec.Raw | None:
            question = ask(node)
            if question is None:
                return None
            encoded.append(encode_question(question))
            return msgspec.Raw(encoded[-1])

        call = Call(
            operation.name,
            question_for,
            is_idempotent=operation.is_idempotent,
            answer_seconds=operation.answer_seconds or self._config.deadline_seconds,
            is_long=operation.is_long,
        )
        with timed(self._times, operation.name) as timing:
            try:
                self._dispatch.submit(call, tenant)
                with trio.move_on_after(deadline_seconds):
                    await call.done.wait()
                timing.node = call.node
                match call.outcome:
                    case None:
                        raise self._late(call, deadline_seconds)
                    case Exception() as error:
                        raise error
                    case fields:
                        return Answered(call.node, decode_answer(fields, operation.answer_type))
            finally:
                self._dispatch.withdraw(call)
                for each in encoded:  # a question may hold a secret
                    wipe_bytes(each)

    def _late(self, call: Call, deadline_seconds: float) -> HsmError:
        if any(node.is_up and node.name not in call.unable for node in self._nodes):
            return HsmTimeout(f"the token did not answer {call.name} within {deadline_seconds:g} s")
        if len(self._nodes) == 1:
            return HsmUnavailable(f"the token is down: {self._nodes[0].trouble}")
        down = "; ".join(f"{node.name}: {node.trouble}" for node in self._nodes if not node.is_up)
        return HsmUnavailable(f"no token that can answer {call.name} is up ({down})")
