"""What happened to anchors, on the audit log: written by whoever may write that log, once.

A proxy that runs holds the log.  So a command notes in the ring what it did, in the same stroke, and puts it on the log
if nobody holds that; else the proxy does, at SIGHUP or at its next start.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from sottovoce.app.anchors.place import Place
from sottovoce.app.doctor.sockets import locker_of
from sottovoce.app.places import TokenPlaces
from sottovoce.app.staging import replace_file
from sottovoce.audit import AuditError, AuditLog, open_audit
from sottovoce.identity import AnchorRing, IdentityError, load_ring
from sottovoce.transport import SystemClock


async def record_anchor_changes(tokens: Iterable[TokenPlaces], audit: AuditLog) -> None:
    """Put on the log what commands have done and could not put there.  Raises AuditFailed.

    A ring that cannot be read is told of by whoever needs it; one that cannot be written is told again next time.
    """
    for token in tokens:
        await _record_unless_locked(token.anchor_list, audit)


async def _record_unless_locked(path: Path, audit: AuditLog) -> None:
    with suppress(OSError, IdentityError):
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a command that is at work tells it itself
            await _record(path, audit)
        finally:
            os.close(descriptor)


async def _record(path: Path, audit: AuditLog) -> None:
    ring = load_ring(path)
    if ring is None or not ring.unaudited:
        return
    for event in ring.unaudited:
        await audit.record(event)
    replace_file(path, msgspec.structs.replace(ring, unaudited=()).to_file(), 0o600)


async def tell_audit_log(place: Place, ring: AnchorRing) -> AnchorRing:
    """Put what was done on the log, unless a proxy holds it; gives the ring as it stands then.  The lock is ours."""
    file = Path(place.configuration.audit.file)
    is_there = file.exists()  # noqa: ASYNC240  a command waits for nobody
    if not ring.unaudited or not is_there or locker_of(file) is not None:
        return ring
    try:
        async with open_audit(place.configuration.audit, SystemClock()) as log:
            await _record(place.list_file, log)
    except AuditError:
        return ring  # the next start tells it, or says what is wrong with the log
    return msgspec.structs.replace(ring, unaudited=())
