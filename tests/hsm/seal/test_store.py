"""The two files: whole or not at all, never one seal over another by accident."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sottovoce.hsm.seal import KeptState, SealDamaged, SealRefused, SealStore, StateUnkept, erase_pin_file
from sottovoce.hsm.seal.record import read_kept_state
from tests.hsm.seal.made import made

RECORD = made(seed=1).record
STATE = KeptState(seal=RECORD.id, is_sealed=True, since=1, reason="a drill")
KILLS = 50

WRITER = """
import itertools, os, sys
from pathlib import Path
from sottovoce.hsm.seal import KeptState, SealStore
store = SealStore(Path(sys.argv[1]), Path(sys.argv[2]))
for _ in sys.stdin:
    if (pid := os.fork()) == 0:
        os.write(1, b"%d\\n" % os.getpid())
        for number in itertools.count():
            store.keep(KeptState(seal=bytes(16), is_sealed=True, since=number, reason="x" * (number % 200)))
            os.write(1, b"\\n")
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> SealStore:
    return SealStore(tmp_path / "seal.json", tmp_path / "seal-state.json")


def test_what_was_written_is_read_and_is_for_its_owner_alone(store: SealStore) -> None:
    store.create_record(RECORD)
    store.keep(STATE)
    assert (store.read_record(), store.read_state()) == (RECORD, STATE)
    assert {path.stat().st_mode & 0o777 for path in store} == {0o600}
    assert sorted(store.record.parent.iterdir()) == sorted(store)


def test_no_seal_is_written_over_another_unless_it_is_meant(store: SealStore) -> None:
    store.create_record(RECORD)
    other = made(seed=2).record
    with pytest.raises(SealRefused, match=r"seal\.json is a seal already"):
        store.create_record(other)
    assert store.read_record() == RECORD
    store.replace_record(other)
    assert store.read_record() == other
    assert list(store.record.parent.iterdir()) == [store.record]


def test_what_a_killed_writer_left_is_no_hindrance(store: SealStore) -> None:
    for path in store:
        path.with_name(f".{path.name}.new").write_text("half")
    store.create_record(RECORD)
    store.keep(STATE)
    assert sorted(store.record.parent.iterdir()) == sorted(store)


def test_without_files(store: SealStore) -> None:
    with pytest.raises(SealDamaged, match=r"seal\.json cannot be read \(No such file or directory\): restore it"):
        store.read_record()
    assert store.read_state() is None


def test_what_is_damaged_is_named(store: SealStore) -> None:
    for path in store:
        path.write_text("{")
    with pytest.raises(SealDamaged, match=r"seal\.json is no seal"):
        store.read_record()
    with pytest.raises(SealDamaged, match=r"seal-state\.json tells no state"):
        store.read_state()
    store.state.unlink()
    store.state.mkdir()
    with pytest.raises(SealDamaged, match=r"seal-state\.json cannot be read \(Is a directory\)"):
        store.read_state()


def test_a_state_that_cannot_be_written_leaves_what_was_there(store: SealStore) -> None:
    """A directory stands where the new file would be written first."""
    store.keep(STATE)
    store.state.with_name(".seal-state.json.new").mkdir()
    with pytest.raises(StateUnkept, match=r"seal-state\.json \(Is a directory\): make room there"):
        store.keep(KeptState(seal=RECORD.id, is_sealed=False, since=2, reason=""))
    assert store.read_state() == STATE


def test_a_pin_file_is_overwritten_and_removed(tmp_path: Path) -> None:
    path, kept = tmp_path / "pin", tmp_path / "kept"
    path.write_bytes(b"1234\n")
    kept.hardlink_to(path)
    erase_pin_file(path)
    assert not path.exists()
    assert kept.read_bytes() == bytes(5)
    erase_pin_file(path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("1234")
    (tmp_path / "pin").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        erase_pin_file(tmp_path / "pin")
    assert (tmp_path / "other").read_text() == "1234"


def test_killed_at_any_moment_a_whole_state_is_there(store: SealStore) -> None:
    command = [sys.executable, "-c", WRITER, *map(str, store)]
    seen: set[int] = set()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(KILLS):
            process.stdin.write(b"\n")
            writer = int(process.stdout.readline())
            for _ in range(1 + number % 7):
                process.stdout.readline()
            os.kill(writer, signal.SIGKILL)
            while process.stdout.readline() != b"ended\n":
                pass
            state = read_kept_state(store.state.read_bytes())
            assert len(state.reason) == state.since % 200
            seen.add(state.since)
        process.stdin.close()
    assert len(seen) > 1
