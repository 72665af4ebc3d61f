"""`AuditLog`: where the proxy puts its events, and how it opens the log.

    record   returns when the event is on the disk     keys, certificates, tokens, administration
    note     returns at once; written within a moment  calls

Memory is bounded by whoever takes calls: `settle` before each makes it wait while many events are unwritten, and
refuses it while none can be written.  Each call in progress notes but a few events, so what waits here is at most
`MAX_UNWRITTEN`, those few for each call, and, while the disk is full, a root for each batch of re-authentications of
the calls that still run: some twenty kilobytes a second at the very most.

Whether the log can be written is in `failure`, and changes are reported.  What was noted is kept while it cannot, and
written when it can again.  Nothing goes missing unsaid: leaving `open_audit` raises AuditFailed if something was noted
that is not in the log.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import trio

from sottovoce.audit.chain import ChainEnd, encode_body
from sottovoce.audit.errors import AuditFailed
from sottovoce.audit.events import AuditEvent, AuditRepaired
from sottovoce.audit.file import AuditFile, Checked
from sottovoce.audit.writer import Report, Writer


class AuditConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `[audit]` section of the configuration.  A relative path counts from the configuration file's directory."""

    file: Annotated[str, msgspec.Meta(min_length=1)] = "audit/audit.log"
    """The log.  It is never rotated or cut: its end proves its beginning."""
    batch_seconds: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    """How long an event of a call may wait for others before all are written together."""

    def resolved(self, base: Path) -> "AuditConfig":
        """Give the same with an absolute path, counted from `base`."""
        return msgspec.structs.replace(self, file=str(base / self.file))


class WallClock(Protocol):
    """Tells calendar time."""

    def wall(self) -> float:
        """Give Unix seconds."""
        ...


class AuditLog:
    """An open audit log.  Made by `open_audit`; for the tasks of one event loop."""

    def __init__(self, writer: Writer, file: AuditFile, clock: WallClock) -> None:
        """Take a writer that runs, and the file that it writes to."""
        self._writer = writer
        self._file = file
        self._clock = clock

    async def record(self, event: AuditEvent) -> None:
        """Put an event on the log; return when it is on the disk.  Events of several tasks share one fdatasync.

        Raises AuditFailed: the event is not on the log, and what it tells of must not happen, or be undone.  Cancelled,
        the event is written all the same.
        """
        await self._writer.add_and_wait(encode_body(self._now(), event))

    def note(self, event: AuditEvent) -> None:
        """Put an event on the log soon.  Never waits, refuses or drops; see `settle` and `failure`."""
        self._writer.add(encode_body(self._now(), event))

    async def settle(self) -> None:
        """Wait until what was noted is nearly written.  To be called before a call is let in.

        Raises AuditFailed while the log cannot be written: what cannot be logged is not to be begun.
        """
        await self._writer.wait_for_room()

    @property
    def failure(self) -> AuditFailed | None:
        """Why the log cannot be written now; None while it can."""
        return self._writer.failure

    @property
    def unwritten(self) -> int:
        """Records that are not yet on the disk."""
        return self._writer.unwritten

    @property
    def checked(self) -> Checked | None:
        """Once it is closed, what whoever opens it next, at once, need not check."""
        return self._file.checked

    @property
    def end(self) -> ChainEnd:
        """Where the log ends on the disk: how many records it has, and the head that stands for all of them."""
        return self._file.end

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _ignore(_: AuditFailed | None) -> None:
    """Report to nobody."""


@asynccontextmanager
async def open_audit(
    where: AuditConfig | str | os.PathLike[str],
    clock: WallClock,
    *,
    report: Report = _ignore,
    checked: Checked | None = None,
) -> AsyncGenerator[AuditLog]:
    """Open the audit log for writing, alone, once its chain is checked; flush and close it when the block ends.

    `report` is told when the log can no longer be written, and when it can again.  What was `checked` by whoever had it
    open until now is not checked once more: a million records take some ten seconds.  Raises AuditFailed where the file
    cannot be used, AuditBroken where a line is not what was once written there.  A torn last line, which a crash
    leaves, is cut off; that goes on the log as AuditRepaired.
    """
    config = where if isinstance(where, AuditConfig) else AuditConfig(file=os.fspath(where))
    # Not abandoned on cancellation, which would leave the file open and locked.
    file = await trio.to_thread.run_sync(AuditFile, config.file, checked, limiter=trio.CapacityLimiter(1))
    writer = Writer(file, config.batch_seconds, report)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            try:
                log = AuditLog(writer, file, clock)
                if file.bytes_cut:
                    await log.record(AuditRepaired(bytes_cut=file.bytes_cut))
                yield log
            finally:
                writer.end()
    except BaseExceptionGroup as group:
        # The nursery is our own affair: an error of the block comes out as it was raised.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
    finally:
        file.close()
        if writer.lost:
            raise AuditFailed(f"audit log {config.file}: {writer.lost} events of calls could not be written to it")
