"""`Member`: one worker, as the supervisor knows it; and what it is lent of what the supervisor keeps."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
import trio

from sottovoce.app.workers.child import Child
from sottovoce.app.workers.desk import messages
from sottovoce.app.workers.desk.desk import Desk
from sottovoce.audit import AuditLog
from sottovoce.edge.services import Seal
from sottovoce.hsm import Cluster, Operation, OperationRefused
from sottovoce.identity import (
    SIGN_ROOT,
    BatchEvent,
    Certificates,
    SharedRecords,
    TicketKeyEvent,
    TicketKeys,
)
from sottovoce.identity.tickets import OPEN_TICKET_KEY
from sottovoce.observe.metrics import MergedMetrics
from sottovoce.primitives import Secret, lend_secret

if TYPE_CHECKING:
    from sottovoce.app.floor import Load

_MAY_ASK: Final = {
    each.name: each
    for each in cast("tuple[Operation[msgspec.Struct, msgspec.Struct], ...]", (SIGN_ROOT, OPEN_TICKET_KEY))
}
"""What a worker may ask of a token: no more than calls need."""
State = Literal["starting", "serving", "draining"]


class Lending(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor keeps, and workers ask for."""

    tokens: Cluster
    audit: AuditLog
    voice: Certificates
    ticket_keys: TicketKeys
    records: SharedRecords
    batch: Callable[[BatchEvent], None]
    ticket_key: Callable[[TicketKeyEvent], None]
    metrics: MergedMetrics
    seal: Seal
    retire: Callable[[], messages.Retire]
    """How long the calls of workers that are replaced may stay."""


class Member:
    """A worker's process, its desk, and what it told last."""

    def __init__(self, number: int, place: int | None, child: Child, desk: Desk, lending: Lending) -> None:
        """`number` is of this one alone; `place` is whose sockets it has, None for one that is on its way out."""
        self.number = number
        self.place = place
        self.child = child
        self.desk = desk
        self.state: State = "starting" if place is not None else "draining"
        self.since = trio.current_time()
        self.heard_at = trio.current_time()
        self.load: Load | None = None
        self.places: tuple[int, ...] = ()
        """Those that it was told to accept from."""
        self.is_prepared = False
        """Whether it can take a changed configuration."""
        self.is_paused = False
        """Whether it was asked to say nothing."""
        self.failure = ""
        """Why it could not begin, in its own words."""
        self._lending = lending

    def hear(self, message: msgspec.Struct) -> bool:
        """Take what the worker tells; true where it says that calls can come."""
        self.heard_at = trio.current_time()
        lending = self._lending
        match message:
            case messages.Note(event):
                lending.audit.note(event)
            case messages.Batched(event):
                lending.batch(event)
            case messages.TicketKeyTold(event):
                lending.ticket_key(event)
            case messages.Told(load, metrics):
                self.load = load
                if metrics is not None:
                    lending.metrics.took(self.number, metrics)
            case messages.Failed(reason):
                self.failure = reason
            case messages.Ready() if self.state == "starting":
                self.state = "serving"
                return True
            case _:
                pass  # of an earlier version
        return False

    async def answer(self, question: msgspec.Struct) -> msgspec.Struct:
        """Answer what the worker asks.  Raises HsmError, AuditFailed."""
        match question:
            case messages.Settle():
                await self._lending.audit.settle()
                return messages.Done()
            case messages.Ask():
                return await self._ask(question)
            case _:
                text = f"a supervisor does not know what to do with a {type(question).__name__}"
                raise messages.WorkerFault(text)

    async def _ask(self, asked: messages.Ask) -> messages.Answer:
        operation = _MAY_ASK.get(asked.operation)
        if operation is None:
            text = f"a worker may not ask for {asked.operation[:40]!a}"
            raise OperationRefused(text)
        questions = {
            node: messages.decode_body(operation.question_type, fields) for node, fields in asked.questions.items()
        }
        answered = await self._lending.tokens.call_on(operation, questions.get, deadline_seconds=asked.seconds)
        try:
            return messages.Answer(answered.node, msgspec.msgpack.encode(answered.answer, enc_hook=lend_secret))
        finally:
            for value in msgspec.structs.astuple(answered.answer):
                if isinstance(value, Secret):
                    value.wipe()
