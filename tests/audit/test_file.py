import errno
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from sottovoce.audit import AuditBroken, AuditFailed, read, verify_audit
from sottovoce.audit.chain import ChainEnd, encode_body
from sottovoce.audit.file import AuditFile
from tests.audit.examples import EVENTS, TIME, make_lines

SAID = [encode_body(TIME, event) for event in EVENTS]
WHOLE = b"".join(make_lines())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def open_fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_new_log_is_its_owners_only_and_holds_what_was_appended(path: Path) -> None:
    umask = os.umask(0)
    try:
        file = AuditFile(str(path))
    finally:
        os.umask(umask)
    file.append(SAID[:2])
    file.append(SAID[2:])
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == WHOLE


def test_a_log_goes_on_where_it_ended(path: Path) -> None:
    for said in SAID:
        file = AuditFile(str(path))
        file.append([said])
        file.close()
        assert file.bytes_cut == 0
    assert path.read_bytes() == WHOLE


def test_a_torn_line_is_cut_off_wherever_it_was_torn(path: Path) -> None:
    *intact, torn = make_lines()
    for size in range(1, len(torn)):
        path.write_bytes(b"".join(intact) + torn[:size])
        path.chmod(0o600)
        file = AuditFile(str(path))
        assert file.bytes_cut == size
        file.append(SAID[-1:])
        file.close()
        assert path.read_bytes() == WHOLE


def test_a_broken_log_is_not_opened_and_not_changed(path: Path) -> None:
    broken = WHOLE.replace(b"serving", b"leaving")
    path.write_bytes(broken)
    path.chmod(0o600)
    before = open_fds()
    with pytest.raises(AuditBroken, match="line 1: its content"):
        AuditFile(str(path))
    assert open_fds() == before
    assert path.read_bytes() == broken


def _open_elsewhere(path: Path, pipe: object) -> None:
    try:
        AuditFile(str(path)).close()
        answer = "opened"
    except AuditFailed as error:
        answer = str(error)
    pipe.send(answer)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_second_writer_is_refused(path: Path) -> None:
    file = AuditFile(str(path))
    refusal = "is being written by another process: stop that one, or give this one a directory of its own"
    with pytest.raises(AuditFailed, match=refusal):
        AuditFile(str(path))
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_open_elsewhere, args=(path, theirs))
    process.start()
    assert ours.recv() == f"audit log {path} {refusal}"
    process.join()
    ours.close()
    theirs.close()
    file.close()
    AuditFile(str(path)).close()


def test_places_where_no_log_can_be(tmp_path: Path, path: Path) -> None:
    before = open_fds()
    with pytest.raises(AuditFailed, match=r"\(No such file or directory\): make its directory, or set audit.file"):
        AuditFile(str(tmp_path / "no" / "audit.log"))
    with pytest.raises(AuditFailed, match=r"\(Is a directory\)"):
        AuditFile(str(tmp_path))
    os.mkfifo(path)
    with pytest.raises(AuditFailed, match=r"is not a regular file: set audit.file to another path"):
        AuditFile(str(path))
    path.unlink()
    path.touch()
    path.chmod(0o620)
    with pytest.raises(AuditFailed, match=r"can be written by others \(mode 0620\): chmod 600 it"):
        AuditFile(str(path))
    assert open_fds() == before


def test_a_directory_that_cannot_be_synced_or_a_file_that_cannot_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_fds()
    with monkeypatch.context() as patch:
        patch.setattr("sottovoce.audit.file._sync_directory", failing(errno.EACCES))
        with pytest.raises(AuditFailed, match=r"cannot be opened \(Permission denied\): let this user write it"):
            AuditFile(str(path))
    monkeypatch.setattr("sottovoce.audit.file.walk", failing(errno.EIO))
    with pytest.raises(AuditFailed, match=r"cannot be checked and repaired \(Input/output error\)"):
        AuditFile(str(path))
    assert open_fds() == before


def test_a_full_disk_leaves_the_log_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuditFile(str(path))
    file.append(SAID[:1])

    def write_some(self: AuditFile, data: bytes) -> None:
        os.write(self._fd, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(AuditFile, "_write", write_some)
        with pytest.raises(AuditFailed, match=r"written \(No space left on device\): make room on its disk"):
            file.append(SAID[1:])
    assert path.read_bytes() == make_lines()[0]
    assert not file.is_lost
    file.append(SAID[1:])
    file.close()
    assert path.read_bytes() == WHOLE


def test_a_failed_sync_is_final(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel could not write it may have forgotten: a second sync that succeeds proves nothing."""
    file = AuditFile(str(path))
    file.append(SAID[:1])
    with monkeypatch.context() as patch:
        patch.setattr(AuditFile, "_sync", failing(errno.EIO))
        with pytest.raises(AuditFailed, match=r"brought to the disk \(Input/output error\): start again"):
            file.append(SAID[1:])
    assert file.is_lost
    with pytest.raises(AuditFailed, match=r"brought to the disk \(Input/output error\): start again"):
        file.append(SAID[1:])
    file.close()
    assert verify_audit(path).records == 1


def test_what_cannot_be_taken_back_is_final(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuditFile(str(path))
    monkeypatch.setattr(AuditFile, "_write", failing(errno.EFBIG))
    monkeypatch.setattr(os, "ftruncate", failing(errno.EIO))
    with pytest.raises(AuditFailed, match=r"cannot be written \(File too large\)$"):
        file.append(SAID)
    assert file.is_lost
    with pytest.raises(AuditFailed, match="ends in what could not be taken back"):
        file.append(SAID)
    file.close()


@pytest.mark.parametrize("changed", [b"", make_lines()[0] + b"x"], ids=["cut", "written to"])
def test_a_log_that_somebody_else_changes_is_left_alone(path: Path, changed: bytes) -> None:
    file = AuditFile(str(path))
    file.append(SAID[:1])
    path.write_bytes(changed)
    with pytest.raises(AuditFailed, match="was changed by another program while it was open: start again"):
        file.append(SAID[1:])
    assert file.is_lost
    file.close()
    assert path.read_bytes() == changed


def test_a_log_that_somebody_deletes_is_not_written_to_nowhere(path: Path) -> None:
    file = AuditFile(str(path))
    file.append(SAID[:1])
    path.unlink()
    with pytest.raises(AuditFailed, match="was deleted while it was open"):
        file.append(SAID[1:2])
    assert file.is_lost
    file.close()
    assert not path.exists()


def reading(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note each line that is checked."""
    seen: list[bytes] = []
    check = read.check_record

    def noting(end: ChainEnd, line: bytes) -> ChainEnd:
        seen.append(line)
        return check(end, line)

    monkeypatch.setattr(read, "check_record", noting)
    return seen


def test_what_was_checked_until_now_is_not_checked_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuditFile(str(path))
    file.append(SAID[:-2])
    file.close()
    checked = file.checked
    with path.open("ab") as stream:
        stream.write(make_lines()[-2])  # by nobody of ours: whatever stands behind is looked at
    seen = reading(monkeypatch)
    again = AuditFile(str(path), checked)
    assert seen == [make_lines()[-2].rstrip(b"\n")]
    again.append(SAID[-1:])
    again.close()
    assert path.read_bytes() == WHOLE
    verify_audit(path)


def test_what_is_torn_behind_what_was_checked_is_cut_off(path: Path) -> None:
    file = AuditFile(str(path))
    file.append(SAID[:-1])
    file.close()
    with path.open("ab") as stream:
        stream.write(make_lines()[-1][:20])
    again = AuditFile(str(path), file.checked)
    assert again.bytes_cut == 20
    again.append(SAID[-1:])
    again.close()
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize("cut", [1, 40, len(make_lines()[-1])])
def test_a_log_that_has_not_that_head_there_is_checked_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    file = AuditFile(str(path))
    file.append(SAID)
    file.close()
    os.truncate(path, len(WHOLE) - cut)
    seen = reading(monkeypatch)
    AuditFile(str(path), file.checked).close()
    assert len(seen) >= len(SAID) - 1


def test_another_log_is_checked_whole(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuditFile(str(path))
    file.append(SAID)
    file.close()
    path.rename(tmp_path / "other.log")
    seen = reading(monkeypatch)
    AuditFile(str(tmp_path / "other.log"), file.checked).close()
    assert len(seen) == len(SAID)


def test_of_a_log_that_was_lost_nothing_is_known(path: Path) -> None:
    file = AuditFile(str(path))
    file.append(SAID[:1])
    path.write_bytes(b"")
    with pytest.raises(AuditFailed, match="changed by another program"):
        file.append(SAID[1:])
    assert file.checked is None
    file.close()
