"""`Batcher`: has leaves signed by the nodes, many with one signature (protocol §6).

`gathering` says which leaves go together and when.  Here each `Batch` becomes one call, which any node answers that is
well; up to as many are under way as all token processes together have threads.  Whoever waits leaves at its deadline or
when it is cancelled; a batch that nobody waits for any more is not signed, if that can still be helped.
"""

from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio

from sottovoce.hsm import Answered, HsmBusy, HsmError, HsmTimeout, HsmUnavailable, Pool
from sottovoce.identity.batch import Batch, ServedCertificates, WaitingLeaf
from sottovoce.identity.gathering import Gathering
from sottovoce.identity.operations import SIGN_ROOT, RootSignatures
from sottovoce.session import LeafKind, SignatureWanted, Signed

MAX_WAITING = 8_192
"""Leaves that may wait; further ones are refused at once."""


_ENDS = "the proxy ends"


class BatchSigned(msgspec.Struct, frozen=True, tag="batch_signed"):
    """A root over so many leaves was signed; `served` of their owners were still there."""

    kind: LeafKind
    leaves: int
    served: int
    root: bytes
    node: str
    """Who signed."""


class BatchFailed(msgspec.Struct, frozen=True, tag="batch_failed"):
    """A batch got no signature; its owners were told."""

    kind: LeafKind
    leaves: int
    reason: str


BatchEvent = BatchSigned | BatchFailed


class Batcher:
    """Takes leaves from any number of tasks; `run` does the work."""

    def __init__(self, pool: Pool, certificates: ServedCertificates, report: Callable[[BatchEvent], None]) -> None:
        """Nothing is signed before `run`."""
        self.batches_served = 0
        """Batches whose signature came; token processes count as many `roots_signed` while none is asked twice."""
        self.leaves_served = 0
        self._pool = pool
        self._certificates = certificates
        self._report = report
        self._gathering: Gathering[WaitingLeaf] = Gathering()
        self._in_flight = 0
        self._most_in_flight = pool.most_out
        self._changed = trio.Event()

    async def sign(self, wanted: SignatureWanted, source: str, deadline: float) -> Signed:
        """Give the proof of one leaf and the certificate that it is made under, of the anchor that is wanted.

        `source` is the client's IP address, `deadline` on Trio's clock.  Raises HsmTimeout at the deadline, HsmBusy
        when too many wait, or what became of its batch.  After cancellation the leaf is not signed, or its proof is
        lost.
        """
        if len(self._gathering) >= MAX_WAITING:
            text = f"{MAX_WAITING} handshakes wait for a signature already"
            raise HsmBusy(text)
        leaf = WaitingLeaf(wanted, source, deadline)
        due = self._gathering.next_due()
        self._gathering.add(leaf.group, leaf, trio.current_time())
        if self._gathering.next_due() != due:
            self._wake()
        try:
            with trio.move_on_at(deadline):
                await leaf.done.wait()
        finally:
            self._let_go(leaf)
        match leaf.outcome:
            case None:
                text = "the HSM signed no root before the handshake's time was over"
                raise HsmTimeout(text)
            case HsmError() as error:
                # Of its own for each waiter: raising one object in several tasks would mix their tracebacks.
                raise type(error)(str(error))
            case signed:
                return signed

    @property
    def waiting(self) -> int:
        """Leaves that wait to be signed, those in flight not counted."""
        return len(self._gathering)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Sign until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    changed = self._changed
                    due = self._gathering.next_due() if self._has_room else None
                    with trio.CancelScope(deadline=float("inf") if due is None else due):
                        await changed.wait()
                    while self._has_room and (cut := self._gathering.cut(trio.current_time())) is not None:
                        group, leaves = cut
                        if leaves:
                            self._in_flight += 1
                            nursery.start_soon(self._serve, Batch(group, leaves, self._certificates))
        finally:
            for leaf in self._gathering.take_all():
                leaf.finish(HsmUnavailable(_ENDS))

    @property
    def _has_room(self) -> bool:
        return self._in_flight < self._most_in_flight

    async def _serve(self, batch: Batch) -> None:
        # Whatever happens to this task, nobody is left waiting.
        outcome: Answered[RootSignatures] | HsmError = HsmUnavailable(_ENDS)
        try:
            with batch.scope:
                outcome = await self._ask(batch)
        finally:
            self._in_flight -= 1
            self._wake()
            self._deliver(batch, outcome)

    async def _ask(self, batch: Batch) -> Answered[RootSignatures] | HsmError:
        if reason := batch.why_nobody_can_sign(self._pool.nodes):
            await trio.lowlevel.checkpoint()
            return HsmUnavailable(reason)
        seconds = max(leaf.deadline for leaf in batch.leaves) - trio.current_time()
        try:
            return await self._pool.call_on(SIGN_ROOT, batch.ask, deadline_seconds=max(seconds, 0.0))
        except HsmError as error:
            return error

    def _deliver(self, batch: Batch, outcome: Answered[RootSignatures] | HsmError) -> None:
        """Give each owner its proof, or the error."""
        served, count = batch.present, len(batch.leaves)
        if isinstance(outcome, HsmError):
            batch.fail(outcome)
            if served:
                self._report(BatchFailed(batch.kind, count, str(outcome)))
            return
        root = batch.finish(outcome.node, outcome.answer)
        self.batches_served += 1
        self.leaves_served += served
        self._report(BatchSigned(batch.kind, count, served, root, outcome.node))

    def _let_go(self, leaf: WaitingLeaf) -> None:
        if leaf.done.is_set():
            return
        if leaf.batch is None:
            self._gathering.remove(leaf.group, leaf)
        else:
            leaf.batch.leave()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
