"""The one task that writes the audit log, in batches: many records, one write, one fdatasync.

What waits is written at once when somebody waits for it, else when `BATCH_RECORDS` wait or `batch_seconds` have passed
since the first.  A batch that cannot be written fails those who wait for it; the rest stays in the queue and is tried
again, every `_RETRY_SECONDS` and with each new record that somebody waits for.  Only when the file itself is lost, or
the end has come, is it given up, and then counted.

The queue never refuses and never drops.  Its length is bounded by whoever adds to it: see `wait_for_room`.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import trio

from sottovoce.audit.errors import AuditFailed
from sottovoce.primitives import ApiMisuse

BATCH_RECORDS: Final = 64
MAX_UNWRITTEN: Final = 1_024
"""Records that may be unwritten before `wait_for_room` makes its callers wait."""
_RETRY_SECONDS = 1.0

Report = Callable[[AuditFailed | None], None]
"""Told when the log can no longer be written, and why; and None when it can again."""


class Sink(Protocol):
    """Where records go: `AuditFile`."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing will be written any more."""
        ...

    def append(self, records: Iterable[bytes]) -> None:
        """Write records durably, in a thread; raise AuditFailed having written none of them."""
        ...


class _Entry:
    """A record on its way, and whoever waits for it."""

    def __init__(self, said: bytes, done: trio.Event | None) -> None:
        self.said = said
        self.done = done
        self.failure: AuditFailed | None = None


class Writer:
    """Takes records from any task of one event loop, and writes them in the order in which they came."""

    def __init__(self, sink: Sink, batch_seconds: float, report: Report) -> None:
        self.failure: AuditFailed | None = None
        self.lost = 0
        self._sink = sink
        self._batch_seconds = batch_seconds
        self._report = report
        self._queue: list[_Entry] = []
        self._being_written = 0
        self._waited_for = 0
        self._is_ending = False
        self._changed = trio.Event()
        self._limiter = trio.CapacityLimiter(1)

    def add(self, said: bytes) -> None:
        """Have a record written soon."""
        self._put(_Entry(said, None))

    async def add_and_wait(self, said: bytes) -> None:
        """Have a record written now; return when it is on the disk.  Cancelled, it is written all the same.

        Raises AuditFailed: then the record is not in the log.
        """
        done = trio.Event()
        entry = _Entry(said, done)
        self._put(entry)
        await done.wait()
        if entry.failure is not None:
            raise AuditFailed(str(entry.failure)) from entry.failure

    async def wait_for_room(self) -> None:
        """Wait until less than `MAX_UNWRITTEN` records are unwritten.  Raises AuditFailed while none can be written."""
        await trio.lowlevel.checkpoint()
        while self.failure is None and self.unwritten >= MAX_UNWRITTEN:
            await self._changed.wait()
        if self.failure is not None:
            raise AuditFailed(str(self.failure)) from self.failure

    @property
    def unwritten(self) -> int:
        """Records that are not yet on the disk."""
        return len(self._queue) + self._being_written

    def end(self) -> None:
        """Have `run` write what is left and return."""
        self._is_ending = True
        self._wake()

    async def run(self) -> None:
        """Write until `end`.  Cancellation does not reach it: what was taken is written."""
        with trio.CancelScope(shield=True):
            while await self._wait_for_batch():
                await self._write_batch()

    def _put(self, entry: _Entry) -> None:
        if self._is_ending:
            raise ApiMisuse("the audit log is closed")
        self._queue.append(entry)
        self._waited_for += entry.done is not None
        if len(self._queue) == 1 or self._is_urgent():
            self._wake()

    async def _wait_for_batch(self) -> bool:
        """Wait until there is something to write and it is time for it; false when nothing more shall be written."""
        while not self._queue and not self._is_ending:
            await self._changed.wait()
        with trio.move_on_after(self._batch_seconds if self.failure is None else _RETRY_SECONDS):
            while not self._is_urgent():
                await self._changed.wait()
        return bool(self._queue)

    def _is_urgent(self) -> bool:
        if self._is_ending or self._waited_for:
            return True
        return self.failure is None and len(self._queue) >= BATCH_RECORDS

    async def _write_batch(self) -> None:
        batch, self._queue = self._queue, []
        self._being_written, self._waited_for = len(batch), 0
        failure: AuditFailed | None = None
        try:
            await trio.to_thread.run_sync(self._sink.append, [entry.said for entry in batch], limiter=self._limiter)
        except AuditFailed as error:
            failure = error
        self._being_written = 0
        if failure is not None:
            self._keep([entry for entry in batch if entry.done is None])
        self._tell(failure)
        for entry in batch:
            if entry.done is not None:
                entry.failure = failure
                entry.done.set()
        self._wake()

    def _keep(self, entries: list[_Entry]) -> None:
        """Put back what nobody waits for, unless there is no second try."""
        if self._sink.is_lost or self._is_ending:
            self.lost += len(entries)
        else:
            self._queue[:0] = entries

    def _tell(self, failure: AuditFailed | None) -> None:
        was_failing, self.failure = self.failure is not None, failure
        if was_failing is not (failure is not None):
            self._report(failure)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
