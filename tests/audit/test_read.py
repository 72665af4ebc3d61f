import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.audit import AuditBroken, AuditFailed, AuditReport, read_events, read_tail, verify_audit
from sottovoce.audit.chain import MAX_LINE_BYTES, ChainEnd, encode_record
from tests.audit.examples import EVENTS, TIME, make_lines

LINES = make_lines()
WHOLE = b"".join(LINES)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.log"


def verify(scratch: Path, data: bytes) -> AuditReport:
    scratch.write_bytes(data)
    return verify_audit(scratch)


def line_of(position: int) -> int:
    """Which line, counted from 1, has the byte at this position."""
    return WHOLE.count(b"\n", 0, position) + 1


def test_a_whole_log(scratch: Path) -> None:
    report = verify(scratch, WHOLE)
    assert report == AuditReport(len(EVENTS), json.loads(LINES[-1])["head"], TIME, TIME, 0)


def test_an_empty_log_is_whole(scratch: Path) -> None:
    assert verify(scratch, b"") == AuditReport(0, "", None, None, 0)
    assert read_tail(scratch, 5) == []


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_in_its_line(scratch: Path, position: int, difference: int) -> None:
    changed = bytes([WHOLE[position] ^ difference])
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, WHOLE[:position] + changed + WHOLE[position + 1 :])
    assert caught.value.line == line_of(position)


@given(st.integers(0, len(WHOLE) - 2))
def test_a_removed_byte_is_found_in_its_line(scratch: Path, position: int) -> None:
    shorter = WHOLE[:position] + WHOLE[position + 1 :]
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, shorter)
    same_as_before = WHOLE[:position].rstrip(WHOLE[position : position + 1])  # "aa" without either a is the same
    assert line_of(len(same_as_before)) <= caught.value.line <= line_of(position)


@given(st.integers(0, len(WHOLE)), st.binary(min_size=1, max_size=3))
def test_an_added_byte_is_found(scratch: Path, position: int, added: bytes) -> None:
    if position == len(WHOLE) and LINES[0].startswith(added[:1]):
        added = b"~" + added  # "{" alone would be the beginning of a next record, torn by a crash
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, WHOLE[:position] + added + WHOLE[position:])
    assert caught.value.line <= line_of(position)


@given(st.permutations(range(len(LINES))))
def test_moved_lines_are_found(scratch: Path, order: list[int]) -> None:
    moved = next((index for index, line in enumerate(order) if index != line), None)
    if moved is None:
        return
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, b"".join(LINES[index] for index in order))
    assert caught.value.line == moved + 1


@given(st.sets(st.integers(0, len(LINES) - 1), min_size=1))
def test_removed_lines_are_found_except_at_the_end(scratch: Path, removed: set[int]) -> None:
    kept = [index for index in range(len(LINES)) if index not in removed]
    data = b"".join(LINES[index] for index in kept)
    if kept == list(range(len(kept))):
        # What the chain cannot show; it takes a head noted elsewhere, which a shorter log does not have.
        assert verify(scratch, data).head != json.loads(LINES[-1])["head"]
        return
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, data)
    assert caught.value.line == next(index for index, line in enumerate(kept) if index != line) + 1


@given(st.integers(0, len(LINES) - 2))
def test_a_doubled_line_is_found(scratch: Path, index: int) -> None:
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, b"".join(LINES[: index + 1]) + b"".join(LINES[index:]))
    assert caught.value.line == index + 2


def test_a_forged_line_with_right_hashes_breaks_the_next(scratch: Path) -> None:
    said = b'"time":"x","event":"token_started","token":"other","pid":1}'
    first, _ = encode_record(ChainEnd(), said)
    with pytest.raises(AuditBroken, match=r"line 2: its head does not follow from the line before"):
        verify(scratch, first + b"".join(LINES[1:]))


def test_a_torn_end_is_no_broken_log(scratch: Path) -> None:
    start = len(WHOLE) - len(LINES[-1])
    for size in range(start + 1, len(WHOLE)):
        report = verify(scratch, WHOLE[:size])
        assert (report.records, report.torn_bytes) == (len(EVENTS) - 1, size - start)
        assert [record.index for record in read_tail(scratch, 1)] == [len(EVENTS) - 2]


def test_what_a_broken_log_says(scratch: Path) -> None:
    with pytest.raises(AuditBroken) as caught:
        verify(scratch, LINES[0] + LINES[1].replace(b"7", b"8") + b"".join(LINES[2:]))
    assert str(caught.value) == (
        f"audit log {scratch}, line 2: its content does not match its leaf hash; the lines before it are intact. "
        "Keep the file as evidence and move it away: the next start begins a new log"
    )


def test_a_file_that_is_none_of_ours(scratch: Path) -> None:
    with pytest.raises(AuditBroken, match="line 1: no record with index 0 begins here"):
        verify(scratch, b"127.0.0.1 - - GET /\n")
    with pytest.raises(AuditBroken, match="line 1: it is longer than 65536 bytes"):
        verify(scratch, b"\0" * (MAX_LINE_BYTES + 1))
    with pytest.raises(AuditBroken, match="line 1: it is longer than 65536 bytes"):
        verify(scratch, LINES[0][:-1].ljust(MAX_LINE_BYTES, b" ") + b"\n")
    scratch.write_bytes(b"\0" * (4 * MAX_LINE_BYTES))
    assert read_tail(scratch, 1) == []


def test_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    for read in (verify_audit, lambda path: read_tail(path, 1)):
        with pytest.raises(AuditFailed, match=r"missing\.log cannot be read \(No such file or directory\): give"):
            read(tmp_path / "missing.log")
        with pytest.raises(AuditFailed, match=r"cannot be read \(Is a directory\)"):
            read(tmp_path)


@given(st.integers(0, 8))
def test_the_tail(scratch: Path, count: int) -> None:
    scratch.write_bytes(WHOLE)
    records = read_tail(str(scratch), count)
    assert [record.index for record in records] == list(range(len(EVENTS)))[-count or len(EVENTS) :]
    for record in records:
        whole = {"index": record.index, "time": record.time, "event": record.event}
        whole |= record.fields | {"leaf": record.leaf, "head": record.head}
        assert whole == json.loads(LINES[record.index])


def test_the_tail_of_a_log_longer_than_a_block(scratch: Path) -> None:
    scratch.write_bytes(b"".join(make_lines(EVENTS * 200)))
    assert [record.index for record in read_tail(scratch, 900)] == list(range(100, 1000))
    assert [record.index for record in read_tail(scratch, 5000)] == list(range(1000))


def test_a_tail_that_is_no_record_names_the_broken_line(scratch: Path) -> None:
    scratch.write_bytes(WHOLE + b"garbage\n")
    with pytest.raises(AuditBroken, match=f"line {len(EVENTS) + 1}: no record"):
        read_tail(scratch, 2)


def test_a_tail_of_another_version_is_said_to_be_one(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.write_bytes(WHOLE + b"garbage\n")
    monkeypatch.setattr("sottovoce.audit.read.walk", lambda *_: iter(()))
    with pytest.raises(AuditFailed, match="was it written by a newer version"):
        read_tail(scratch, 2)


def test_reading_changes_nothing(scratch: Path) -> None:
    scratch.write_bytes(WHOLE[:-5])
    before = scratch.stat()
    verify_audit(scratch)
    read_tail(scratch, 3)
    after = scratch.stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def test_the_records_of_one_event_in_their_order(scratch: Path) -> None:
    """A torn end is left out; a word in another record's field is no event."""
    scratch.write_bytes(WHOLE[:-5])
    assert [each.fields["pid"] for each in read_events(scratch, "token_started")] == [7]
    scratch.write_bytes(WHOLE)
    assert [each.fields["token"] for each in read_events(scratch, "token_started")] == ["sottovoce", "café"]
    assert list(read_events(scratch, "serving")) == []
    scratch.write_bytes(WHOLE.replace(b"sottovoce", b"sottovocf", 1))
    with pytest.raises(AuditBroken):
        list(read_events(scratch, "token_started"))
    with pytest.raises(AuditFailed):
        list(read_events(scratch.with_name("none"), "token_started"))
