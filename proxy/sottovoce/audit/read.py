"""Reading the audit log: checking it from the first line on, and its last records.

Reads line by line, so that a log of any length takes little memory.  It changes nothing; cutting a torn end off is for
whoever opens the log to write (`file`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from sottovoce.audit.chain import MAX_LINE_BYTES, ChainEnd, check_record, is_torn
from sottovoce.audit.errors import AuditBroken, AuditFailed, RecordInvalid

_BLOCK_BYTES = 65_536
_START = ChainEnd()


class AuditReport(msgspec.Struct, frozen=True):
    """A log whose chain is whole."""

    records: int
    head: str
    """Stands for the whole log: note it elsewhere, and a later log must contain it."""
    first_time: str | None
    last_time: str | None
    torn_bytes: int
    """Of a last line that is not finished: a crash tore it, or it is being written right now."""


class Record(msgspec.Struct, frozen=True):
    """One line of the log as it is shown; `fields` are the event's own."""

    index: int
    time: str
    event: str
    leaf: str
    head: str
    fields: dict[str, object]


def verify_audit(path: str | os.PathLike[str]) -> AuditReport:
    """Check each record of a log.

    Raises AuditBroken with the first line that is not as it was written, AuditFailed if the file cannot be read.
    """
    with _open(path) as stream:
        end, torn = ChainEnd(), 0
        first: bytes | None = None
        last: bytes | None = None
        for line, end, torn in walk(stream, os.fspath(path)):  # noqa: B007  the last values count
            if not torn:
                first, last = first or line, line
    return AuditReport(end.records, end.head.hex() if end.records else "", _time(first), _time(last), torn)


def walk(stream: BinaryIO, path: str, end: ChainEnd = _START) -> Iterator[tuple[bytes, ChainEnd, int]]:
    """Go through a log from where `stream` stands, which is behind `end`: each line, the end behind it, and 0.

    A torn last line comes with the end before it and its length.  Raises AuditBroken, naming `path`.
    """
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES and is_torn(end, line):
            yield line, end, len(line)
            return
        try:
            end = _checked(end, line)
        except RecordInvalid as error:
            raise AuditBroken(path, end.records + 1, str(error)) from error
        yield line, end, 0


def _checked(end: ChainEnd, line: bytes) -> ChainEnd:
    if len(line) > MAX_LINE_BYTES:
        raise RecordInvalid(f"it is longer than {MAX_LINE_BYTES} bytes")
    if not line.endswith(b"\n"):
        raise RecordInvalid("its end was changed")
    return check_record(end, line[:-1])


def read_tail(path: str | os.PathLike[str], count: int) -> list[Record]:
    """Give the last `count` records, the oldest first, without checking the chain.  Raises AuditFailed, AuditBroken."""
    with _open(path) as stream:
        lines = _last_lines(stream, count)
        try:
            return [_decode(line) for line in lines]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            stream.seek(0)
            for _ in walk(stream, os.fspath(path)):
                pass  # this tells the line, or that the chain is whole all the same
            raise AuditFailed(
                f"audit log {os.fspath(path)}: a record at its end cannot be read: was it written by a newer version?"
            ) from error


def read_events(path: str | os.PathLike[str], event: str) -> Iterator[Record]:
    """Give the finished records of one event, the oldest first.  Raises AuditFailed, AuditBroken."""
    mark = f'"{event}"'.encode()
    with _open(path) as stream:
        for line, _, torn in walk(stream, os.fspath(path)):
            if not torn and mark in line and (record := _decode(line)).event == event:
                yield record


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise AuditFailed(
            f"audit log {os.fspath(path)} cannot be read ({error.strerror}): give the path of a log that exists, "
            "and read it as the user who owns it"
        ) from error


def _last_lines(stream: BinaryIO, count: int) -> list[bytes]:
    """Give the last `count` finished lines; of a file that has no lines, no more than lines could hold."""
    position = stream.seek(0, os.SEEK_END)
    data = b""
    while position > 0 and data.count(b"\n") <= count and len(data) <= (count + 1) * MAX_LINE_BYTES:
        start = max(0, position - _BLOCK_BYTES)
        stream.seek(start)
        data = stream.read(position - start) + data
        position = start
    finished = data.split(b"\n")[:-1]
    return finished[-count:] if count > 0 else []


class _Whole(msgspec.Struct):
    index: int
    time: str
    event: str
    leaf: str
    head: str


def _decode(line: bytes) -> Record:
    whole = msgspec.json.decode(line, type=_Whole)
    fields = msgspec.json.decode(line, type=dict[str, object])
    own = {name: value for name, value in fields.items() if name not in _Whole.__struct_fields__}
    return Record(whole.index, whole.time, whole.event, whole.leaf, whole.head, own)


def _time(line: bytes | None) -> str | None:
    return _decode(line).time if line else None
