"""The seal's two files: the record, written once and precious, and the state, written at each change.

Each is written whole or not at all: beside its place, to the disk, then linked or renamed, then the directory to the
disk.  A kill or a power cut leaves the old one or the new one.  Blocking: call it from a thread.
"""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from sottovoce.hsm.seal.errors import SealDamaged, SealRefused, StateUnkept
from sottovoce.hsm.seal.record import KeptState, SealRecord, read_kept_state, read_record

_MODE = 0o600


class SealStore(NamedTuple):
    """Where the two files are."""

    record: Path
    state: Path

    def read_record(self) -> SealRecord:
        """Read the seal.  Raises SealDamaged, naming the file."""
        try:
            return read_record(self.record.read_bytes())
        except OSError as error:
            text = f"{self.record} cannot be read ({error.strerror}): restore it from its backup"
        except SealDamaged as error:
            text = f"{self.record} {error}"
        raise SealDamaged(text)

    def create_record(self, record: SealRecord) -> None:
        """Write a seal where none is.  Raises SealRefused where one is, as its shares would be worth nothing then."""
        fresh = _write_beside(self.record, record.to_file())
        try:
            self.record.hardlink_to(fresh)
            _sync(self.record.parent)
        except FileExistsError:
            text = f"{self.record} is a seal already: unseal with its shares and replace it, or move it away"
            raise SealRefused(text) from None
        finally:
            fresh.unlink()

    def replace_record(self, record: SealRecord) -> None:
        """Write a seal in the place of another, whose shares then open nothing here.  Raises OSError."""
        _replace(self.record, record.to_file())

    def read_state(self) -> KeptState | None:
        """Read the state; None before the first.  Raises SealDamaged, naming the file."""
        try:
            return read_kept_state(self.state.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            text = f"{self.state} cannot be read ({error.strerror})"
        except SealDamaged as error:
            text = f"{self.state} {error}"
        raise SealDamaged(text)

    def keep(self, state: KeptState) -> None:
        """Write the state.  Raises StateUnkept, which leaves what was there."""
        try:
            _replace(self.state, state.to_file())
        except OSError as error:
            text = f"how the seal stands cannot be written to {self.state} ({error.strerror}): make room there"
            raise StateUnkept(text) from None


def erase_pin_file(path: Path) -> None:
    """Overwrite and remove the file that a PIN was in before it was sealed; where it is gone already, do nothing.

    Call it when the record is written, and again at each start: a kill may have come between.  Nobody can promise that
    a disk keeps no older copy, nor that no backup does: whoever must be sure changes the PIN first.  Raises OSError.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    _sync(path.parent)


def _replace(path: Path, data: bytes) -> None:
    fresh = _write_beside(path, data)
    try:
        fresh.replace(path)
        _sync(path.parent)
    finally:
        fresh.unlink(missing_ok=True)


def _write_beside(path: Path, data: bytes) -> Path:
    """Write a new file to the disk; what a killed writer has left in its place is overwritten."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return fresh


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
