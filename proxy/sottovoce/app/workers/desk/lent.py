"""What a worker works with in place of tokens and the audit log, which are the supervisor's.

Both end at the supervisor's own, so they keep what those promise.  A question that waits while the supervisor is
replaced is answered by the next one.
"""

import msgspec
import trio

from sottovoce.app.workers.desk.desk import Desk, DeskClosed
from sottovoce.app.workers.desk.messages import Answer, Ask, Done, Note, Settle, decode_body
from sottovoce.audit import AuditEvent, AuditFailed, CallEnded, CallRefused, CallStarted, ClassicalSuiteUsed
from sottovoce.hsm import Answered, HsmTimeout, HsmUnavailable, Operation
from sottovoce.hsm import Ask as AskNode
from sottovoce.hsm.messages import Answer as NodeAnswer
from sottovoce.hsm.messages import Question
from sottovoce.primitives import ApiMisuse, wipe_bytes

_GRACE_SECONDS = 0.5
"""For the supervisor's own error, which says more, to arrive behind the deadline."""
_NOTED = (CallStarted, CallRefused, CallEnded, ClassicalSuiteUsed)
_NOBODY = "the supervisor of this worker has ended"


class RemotePool:
    """An hsm.Pool behind a desk."""

    def __init__(self, desk: Desk, nodes: tuple[str, ...], most_out: int) -> None:
        """Take what the supervisor says of its tokens; both stay so for the life of a worker."""
        self.nodes = nodes
        self.most_out = most_out
        self._desk = desk

    async def call(
        self, operation: Operation[Question, NodeAnswer], question: Question, *, deadline_seconds: float
    ) -> NodeAnswer:
        """Have a question answered by whichever node is well.  Raises HsmError."""
        return (await self.call_on(operation, lambda _: question, deadline_seconds=deadline_seconds)).answer

    async def call_on(
        self,
        operation: Operation[Question, NodeAnswer],
        ask: AskNode[Question],
        *,
        deadline_seconds: float,
        tenant: str = "",
    ) -> Answered[NodeAnswer]:
        """Have what `ask` gives for a node answered by that node, within `deadline_seconds`.

        All nodes' questions are made now, and cross together.  Raises HsmError.
        """
        del tenant  # a worker asks for itself alone
        questions = {node: msgspec.msgpack.encode(found) for node in self.nodes if (found := ask(node)) is not None}
        with trio.move_on_after(deadline_seconds + _GRACE_SECONDS):
            try:
                answer = await self._desk.ask(Ask(operation.name, questions, deadline_seconds), Answer)
            except DeskClosed:
                raise HsmUnavailable(_NOBODY) from None
            try:
                return Answered(answer.node, decode_body(operation.answer_type, answer.fields))
            finally:
                wipe_bytes(answer.fields)
        text = "the supervisor gave no answer of the HSM in time"
        raise HsmTimeout(text)


class RemoteAudit:
    """An edge.AuditNotes behind a desk."""

    def __init__(self, desk: Desk) -> None:
        """Note by `desk`."""
        self._desk = desk

    def note(self, event: AuditEvent) -> None:
        """Put a call's event on the log soon: what was noted is sent also if this process is killed a moment later."""
        if not isinstance(event, _NOTED):
            text = f"{type(event).__name__} is not for a worker to note"
            raise ApiMisuse(text)
        self._desk.tell(Note(event))

    async def settle(self) -> None:
        """Wait while many events are unwritten, this worker's among them.  Raises AuditFailed while none can be."""
        try:
            await self._desk.ask(Settle(), Done)
        except DeskClosed:
            raise AuditFailed(_NOBODY) from None
