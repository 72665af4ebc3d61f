"""The audit log as a file: opened, locked, checked, repaired, appended to.  Blocking; `writer` calls it in a thread.

The file is made with mode 0600 and lives in its directory before anything is written; one process at a time has it
open for writing.  After each `append` that returned, its records are on the disk; after each that raised, none of them
is in the log.  Where that cannot be had any more, the file is *lost*: nothing more is written, and only opening it anew
tells what it holds.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from sottovoce.audit.chain import MARK_BYTES, ChainEnd, encode_record, ends_with
from sottovoce.audit.errors import AuditFailed
from sottovoce.audit.read import walk

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Checked(msgspec.Struct, frozen=True):
    """How far a log was checked by whoever had it open, alone, until this moment."""

    path: str
    end: ChainEnd
    size: int
    """Bytes up to there."""


class AuditFile:
    """An audit log, open for writing.  Close it."""

    def __init__(self, path: str, checked: Checked | None = None) -> None:
        """Open or make the file, check each of its records, and cut off what a crash left of one.

        What was `checked` is not checked once more, if the log still has that head there.  Raises AuditFailed where it
        cannot be used, AuditBroken where it is not what was once written.
        """
        self.bytes_cut = 0
        self._path = path
        self._lost_because = ""
        self._fd = _open_locked(path)
        try:
            self._end, self._size = self._check(checked)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def is_lost(self) -> bool:
        """Whether nothing will be written any more."""
        return bool(self._lost_because)

    @property
    def end(self) -> ChainEnd:
        """Where the log ends on the disk."""
        return self._end

    @property
    def checked(self) -> Checked | None:
        """What whoever opens it next, at once, need not check; None where nothing is known of its end."""
        return None if self.is_lost else Checked(self._path, self._end, self._size)

    def append(self, records: Iterable[bytes]) -> None:
        """Add records, each as `encode_body` gives it, and return when they are on the disk.

        Raises AuditFailed: then none of them is in the log.
        """
        if self._lost_because:
            raise AuditFailed(self._lost_because)
        end, lines = self._end, list[bytes]()
        for said in records:
            line, end = encode_record(end, said)
            lines.append(line)
        data = b"".join(lines)
        now = os.fstat(self._fd)
        if not now.st_nlink:
            self._lose("was deleted while it was open")
        if now.st_size != self._size:
            self._lose("was changed by another program while it was open")
        try:
            self._write(data)
        except OSError as error:
            self._take_back()
            raise AuditFailed(f"audit log {self._path} cannot be written ({error.strerror}){_remedy(error)}") from error
        try:
            self._sync()
        except OSError as error:
            # What a failed sync has left is unknown, and a second one may succeed without having written it.
            self._take_back()
            self._lose(f"could not be brought to the disk ({error.strerror})")
        self._end, self._size = end, self._size + len(data)

    def close(self) -> None:
        """Close the file and let another process have it."""
        os.close(self._fd)

    def _check(self, checked: Checked | None) -> tuple[ChainEnd, int]:
        """Give where the log ends, and its size, once a torn line is cut off."""
        torn = 0
        try:
            with os.fdopen(os.dup(self._fd), "rb") as stream:
                begun, size = self._begin(stream, checked)
                end = begun
                for line, end, torn in walk(stream, self._path, begun):  # noqa: B007  the last values count
                    size += 0 if torn else len(line)
            if torn:
                self.bytes_cut = torn
                os.ftruncate(self._fd, size)
                self._sync()
        except OSError as error:
            raise AuditFailed(f"audit log {self._path} cannot be checked and repaired ({error.strerror})") from error
        return end, size

    def _begin(self, stream: BinaryIO, checked: Checked | None) -> tuple[ChainEnd, int]:
        """Give where checking begins, and have `stream` stand there."""
        if checked is not None and checked.path == self._path and checked.end.records:
            stream.seek(max(0, checked.size - MARK_BYTES))
            if ends_with(checked.end, stream.read(MARK_BYTES)):
                return checked.end, checked.size
            stream.seek(0)
        return ChainEnd(), 0

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _sync(self) -> None:
        os.fdatasync(self._fd)

    def _take_back(self) -> None:
        """Cut off what a failed write has left."""
        try:
            os.ftruncate(self._fd, self._size)
            self._sync()
        except OSError as error:
            self._lost_because = f"audit log {self._path} ends in what could not be taken back ({error.strerror})"

    def _lose(self, what: str) -> NoReturn:
        self._lost_because = f"audit log {self._path} {what}: start again to have it checked"
        raise AuditFailed(self._lost_because)


def _open_locked(path: str) -> int:
    with contextlib.ExitStack() as stack:
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            _check_kind(path, os.fstat(fd).st_mode)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync_directory(Path(path).parent)
        except BlockingIOError:
            raise AuditFailed(
                f"audit log {path} is being written by another process: stop that one, "
                "or give this one a directory of its own"
            ) from None
        except OSError as error:
            raise AuditFailed(f"audit log {path} cannot be opened ({error.strerror}){_remedy(error)}") from error
        stack.pop_all()
    return fd


def _check_kind(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise AuditFailed(f"audit log {path} is not a regular file: set audit.file to another path")
    if mode & _WRITABLE_BY_OTHERS:
        raise AuditFailed(f"audit log {path} can be written by others (mode {stat.S_IMODE(mode):04o}): chmod 600 it")


def _sync_directory(directory: Path) -> None:
    """Make a new file's name last.  Without it, a power cut could take the whole file."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return ": make room on its disk"
        case errno.ENOENT:
            return ": make its directory, or set audit.file"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return ": let this user write it, or set audit.file"
        case _:
            return ""
