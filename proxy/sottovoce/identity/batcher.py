"""`Batcher`: has leaves signed by the token process, many with one signature (protocol §6).

`gathering` says which leaves go together and when.  Here each batch becomes one Merkle tree and one call; up to as many
batches are under way as the token process has threads.  Whoever waits leaves at its deadline or when it is cancelled;
a batch that nobody waits for any more is not signed, if that can still be helped.
"""

from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio

from sottovoce.hsm import WORKERS, Caller, HsmBusy, HsmError, HsmTimeout, HsmUnavailable
from sottovoce.identity.gathering import Gathering
from sottovoce.identity.operations import SIGN_ROOT, RootSignatures, SignRoot
from sottovoce.session import LeafKind, Path, Proof, merkle_tree

MAX_WAITING = 8_192
"""Leaves that may wait; further ones are refused at once."""


_ENDS = "the proxy ends"


class BatchSigned(msgspec.Struct, frozen=True, tag="batch_signed"):
    """A root over so many leaves was signed; `served` of their owners were still there."""

    kind: LeafKind
    leaves: int
    served: int
    root: bytes


class BatchFailed(msgspec.Struct, frozen=True, tag="batch_failed"):
    """A batch got no signature; its owners were told."""

    kind: LeafKind
    leaves: int
    reason: str


BatchEvent = BatchSigned | BatchFailed


class _Waiter:
    """A leaf and its owner."""

    def __init__(self, leaf: bytes, source: str, deadline: float) -> None:
        self.leaf = leaf
        self.source = source
        self.deadline = deadline
        self.done = trio.Event()
        self.outcome: Proof | HsmError | None = None
        self.batch: _Batch | None = None

    def finish(self, outcome: Proof | HsmError) -> None:
        self.outcome = outcome
        self.done.set()


class _Batch:
    """Leaves that are being signed together."""

    def __init__(self, kind: LeafKind, waiters: list[_Waiter]) -> None:
        self.kind = kind
        self.waiters = waiters
        self.present = len(waiters)
        self.scope = trio.CancelScope()

    def leave(self) -> None:
        """One owner goes; with the last the call is given up."""
        self.present -= 1
        if not self.present:
            self.scope.cancel()


class Batcher:
    """Takes leaves from any number of tasks; `run` does the work."""

    def __init__(self, token: Caller, report: Callable[[BatchEvent], None]) -> None:
        """Nothing is signed before `run`."""
        self.batches_served = 0
        """Batches whose signature came; the token process counts as many `roots_signed` while nothing is lost."""
        self.leaves_served = 0
        self._token = token
        self._report = report
        self._gathering: Gathering[_Waiter] = Gathering()
        self._in_flight = 0
        self._changed = trio.Event()

    async def sign(self, kind: LeafKind, leaf: bytes, source: str, deadline: float) -> Proof:
        """Give the proof of one leaf; `source` is the client's IP address, `deadline` on Trio's clock.

        Raises HsmTimeout at the deadline, HsmBusy when too many wait, or what became of its batch.  After cancellation
        the leaf is not signed, or its proof is lost.
        """
        if len(self._gathering) >= MAX_WAITING:
            text = f"{MAX_WAITING} handshakes wait for a signature already"
            raise HsmBusy(text)
        waiter = _Waiter(leaf, source, deadline)
        self._gathering.add(kind, waiter, trio.current_time())
        self._wake()
        try:
            with trio.move_on_at(deadline):
                await waiter.done.wait()
        finally:
            self._let_go(kind, waiter)
        match waiter.outcome:
            case None:
                text = "the HSM signed no root before the handshake's time was over"
                raise HsmTimeout(text)
            case HsmError() as error:
                # Of its own for each waiter: raising one object in several tasks would mix their tracebacks.
                raise type(error)(str(error))
            case proof:
                return proof

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
                    due = self._gathering.next_due() if self._in_flight < WORKERS else None
                    with trio.CancelScope(deadline=float("inf") if due is None else due):
                        await changed.wait()
                    while self._in_flight < WORKERS and (cut := self._gathering.cut(trio.current_time())) is not None:
                        self._start(nursery, *cut)
        finally:
            for waiter in self._gathering.take_all():
                waiter.finish(HsmUnavailable(_ENDS))

    def _start(self, nursery: trio.Nursery, kind: LeafKind, waiters: list[_Waiter]) -> None:
        if not waiters:
            return
        batch = _Batch(kind, waiters)
        for waiter in waiters:
            waiter.batch = batch
        self._in_flight += 1
        nursery.start_soon(self._serve, batch)

    async def _serve(self, batch: _Batch) -> None:
        root, paths = merkle_tree([waiter.leaf for waiter in batch.waiters])
        # Whatever happens to this task, nobody is left waiting.
        outcome: RootSignatures | HsmError = HsmUnavailable(_ENDS)
        try:
            with batch.scope:
                outcome = await self._ask(batch, root)
        finally:
            self._in_flight -= 1
            self._wake()
            self._deliver(batch, root, paths, outcome)

    async def _ask(self, batch: _Batch, root: bytes) -> RootSignatures | HsmError:
        seconds = max(waiter.deadline for waiter in batch.waiters) - trio.current_time()
        try:
            return await self._token.call(SIGN_ROOT, SignRoot(batch.kind, root), deadline_seconds=max(seconds, 0.0))
        except HsmError as error:
            return error

    def _deliver(self, batch: _Batch, root: bytes, paths: list[Path], outcome: RootSignatures | HsmError) -> None:
        """Give each owner its proof, or the error."""
        served = batch.present
        if isinstance(outcome, HsmError):
            for waiter in batch.waiters:
                waiter.finish(outcome)
            if served:
                self._report(BatchFailed(batch.kind, len(batch.waiters), str(outcome)))
            return
        for waiter, (nodes, directions) in zip(batch.waiters, paths, strict=True):
            waiter.finish(Proof(nodes, directions, root, outcome.classical, outcome.pq))
        self.batches_served += 1
        self.leaves_served += served
        self._report(BatchSigned(batch.kind, len(batch.waiters), served, root))

    def _let_go(self, kind: LeafKind, waiter: _Waiter) -> None:
        if waiter.done.is_set():
            return
        if waiter.batch is None:
            self._gathering.remove(kind, waiter)
        else:
            waiter.batch.leave()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
