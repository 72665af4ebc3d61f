"""A directory that is there whole or not at all, whatever happens while it is made; and single files likewise.

It is built beside its place under a hidden name, written to the disk, and renamed.  A build that was killed leaves that
hidden directory behind, which the next build for the same place removes; one that still runs holds a lock on its own.
"""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sottovoce.primitives import SottovoceError

_TAG_BYTES = 4
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ROOM = "make room there, or choose a directory on another disk"


class DirectoryUnusable(SottovoceError):
    """A directory cannot be made where it was asked for; the text names it and the remedy."""


@contextmanager
def whole_directory(target: Path) -> Generator[Path]:
    """Give a new empty directory (mode 0700) that becomes `target` (absolute) when the block ends without an error.

    Raises DirectoryUnusable, at once if `target` is there and not empty; whatever fails, nothing of it is left.
    """
    _refuse_unless_free(target)
    try:
        _remove_leftovers(target)
        stage = target.with_name(f"{_prefix(target)}{os.urandom(_TAG_BYTES).hex()}")
        stage.mkdir(mode=0o700)
    except OSError as error:
        raise _unusable(target, error) from None
    lock = os.open(stage, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield stage
        sync_tree(stage)
        stage.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise _unusable(target, error) from None
    except Exception:
        if _is_full(stage):  # whoever else could not write says so in other words, or in none
            raise DirectoryUnusable(f"{target} cannot be made (its disk is full): {_NO_ROOM}") from None
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that is not there yet; `whole_directory` has it on the disk in the end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file whole or not at all, on the disk when this returns.  Raises OSError, which leaves what was there.

    For one writer at a time: what one that was killed has left beside it is overwritten.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        write_new(fresh, data, mode)
        _sync(fresh)
        fresh.replace(path)
        _sync(path.parent)
    finally:
        fresh.unlink(missing_ok=True)


def sync_tree(root: Path) -> None:
    """Have everything in a directory on the disk.  Raises OSError."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            _sync(Path(folder, name))
        _sync(Path(folder))


def _refuse_unless_free(target: Path) -> None:
    if not str(target).isprintable():
        raise DirectoryUnusable(
            f"{str(target)!a} has a character that cannot be written into a configuration: "
            "choose a name of printable characters"
        )
    try:
        taken = any(target.iterdir())
    except FileNotFoundError:
        taken = False
    except OSError as error:
        raise _unusable(target, error) from None
    if taken:
        text = f"{target} is there and not empty: choose another directory, or move this one away (it may hold keys)"
        raise DirectoryUnusable(text)
    if target == Path.cwd():
        text = f"{target} is the current directory: choose one inside it, like {target / 'voice'}"
        raise DirectoryUnusable(text)


def _prefix(target: Path) -> str:
    return f".{target.name}.new-"


def _remove_leftovers(target: Path) -> None:
    is_ours = re.compile(f"{re.escape(_prefix(target))}[0-9a-f]{{{2 * _TAG_BYTES}}}").fullmatch
    for left in target.parent.iterdir():
        if not is_ours(left.name) or left.is_symlink() or not left.is_dir():
            continue
        descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(BlockingIOError):  # it is being built right now, by somebody else
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
        finally:
            os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(target: Path, error: OSError) -> DirectoryUnusable:
    if isinstance(error, FileNotFoundError) and not target.parent.exists():
        return DirectoryUnusable(f"{target.parent} does not exist: mkdir -p {target.parent}")
    if isinstance(error, NotADirectoryError):
        return DirectoryUnusable(f"{target} is no directory: choose another name")
    remedy = _NO_ROOM if error.errno in _FULL else "choose a directory that you may write to"
    return DirectoryUnusable(f"{target} cannot be made ({error.strerror}): {remedy}")


def _is_full(stage: Path) -> bool:
    with suppress(OSError):
        room = os.statvfs(stage)
        return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)
    return False
