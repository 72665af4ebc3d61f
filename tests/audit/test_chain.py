import hashlib
import json
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sottovoce.audit
from sottovoce.audit import AuditEvent, CallRefused, TokenStarted
from sottovoce.audit.chain import MAX_LINE_BYTES, ChainEnd, check_record, encode_body, encode_record, is_torn
from sottovoce.audit.errors import RecordInvalid
from sottovoce.primitives import ApiMisuse
from tests.audit.examples import EVENTS, TIME, make_lines

EVENT_TYPES = [t for t in vars(sottovoce.audit).values() if isinstance(t, type) and issubclass(t, AuditEvent)]
EVENT_TYPES.remove(AuditEvent)


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word by word: MTH of a list of data."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()


def body_of(line: bytes) -> bytes:
    """A line's body, found by another way than by counting from the end: what stands before the leaf."""
    return line[: line.rindex(b',"leaf":"')] + b"}"


def test_a_line_is_one_json_object_with_the_event_in_it() -> None:
    (line,) = make_lines((TokenStarted(token="sottovoce", pid=7),))
    leaf = hashlib.sha256(
        b'\x00{"index":0,"time":"2026-11-24T19:50:10.123456Z","event":"token_started","token":"sottovoce","pid":7,"node":""}'
    )
    assert json.loads(line) == {
        "index": 0,
        "time": TIME,
        "event": "token_started",
        "token": "sottovoce",
        "pid": 7,
        "node": "",
        "leaf": leaf.hexdigest(),
        "head": hashlib.sha256(b"\x01" + bytes(32) + leaf.digest()).hexdigest(),
    }
    assert line.endswith(b'"}\n')
    assert line.count(b"\n") == 1


def test_leaves_are_those_of_a_merkle_tree() -> None:
    """Known roots of RFC 6962's own kind of tree for our helper, then our leaves in it."""
    assert merkle_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([b""]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    lines = make_lines()
    for line in lines:
        assert json.loads(line)["leaf"] == merkle_root([body_of(line)]).hex()
    nodes = [bytes.fromhex(json.loads(line)["leaf"]) for line in lines[:4]]
    pair = [hashlib.sha256(b"\1" + nodes[i] + nodes[i + 1]).digest() for i in (0, 2)]
    assert hashlib.sha256(b"\1" + pair[0] + pair[1]).digest() == merkle_root([body_of(line) for line in lines[:4]])


def test_the_head_is_chained_through_all_leaves() -> None:
    head = bytes(32)
    for line in make_lines():
        head = hashlib.sha256(b"\1" + head + hashlib.sha256(b"\0" + body_of(line)).digest()).digest()
        assert json.loads(line)["head"] == head.hex()


def test_a_log_is_checked_as_it_was_written() -> None:
    end = ChainEnd()
    for index, line in enumerate(make_lines()):
        end = check_record(end, line[:-1])
        assert end.records == index + 1
        assert end.head.hex() == json.loads(line)["head"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (lambda lines: lines[1], "no record with index 0 begins here"),
        (lambda _: b"", "no record with index 0 begins here"),
        (lambda lines: lines[0].replace(b"serving", b"leaving"), "its content does not match its leaf hash"),
        (lambda lines: lines[0][:-3] + b"~" + lines[0][-2:], "its head does not follow from the line before"),
    ],
)
def test_what_is_wrong_is_told(line: Callable[[list[bytes]], bytes], reason: str) -> None:
    with pytest.raises(RecordInvalid, match=reason):
        check_record(ChainEnd(), line([line[:-1] for line in make_lines()]))


def test_right_hashes_over_what_is_no_event_are_refused() -> None:
    line, _ = encode_record(ChainEnd(), b'"time":"x"}')
    with pytest.raises(RecordInvalid, match="it is no event"):
        check_record(ChainEnd(), line[:-1])


def test_every_beginning_of_a_record_is_torn_and_nothing_else() -> None:
    lines = make_lines()
    end = check_record(ChainEnd(), lines[0][:-1])
    for size in range(1, len(lines[1])):
        assert is_torn(end, lines[1][:size])
        assert size == 1 or not is_torn(ChainEnd(), lines[1][:size]) or lines[0].startswith(lines[1][:size])
    assert not is_torn(end, lines[1][:-1] + b"~")
    assert not is_torn(end, b"something else")
    assert is_torn(end, lines[1][:-20] + b"~")  # nobody can tell what stood there: it is cut off, whatever it is


def test_an_event_that_fits_no_line_is_our_bug() -> None:
    room = 65_000
    fits = encode_body(TIME, CallRefused(code=1, reason="x" * room, client=""))
    assert len(encode_record(ChainEnd(2**64, bytes(32)), fits)[0]) <= MAX_LINE_BYTES
    with pytest.raises(ApiMisuse, match="an audit event of 70"):
        encode_body(TIME, CallRefused(code=1, reason="x" * 70_000, client=""))


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_no_event_has_a_field_that_the_record_needs_for_itself(kind: type[AuditEvent]) -> None:
    assert not {"index", "time", "event", "leaf", "head"} & set(kind.__struct_fields__)
    assert kind.__struct_config__.tag == "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__)[1:]


def test_every_kind_of_event_can_be_written_and_its_name_is_its_own() -> None:
    tags = [kind.__struct_config__.tag for kind in EVENT_TYPES]
    assert len(set(tags)) == len(tags)
    for kind in EVENT_TYPES:
        fields = {name: _example(annotation) for name, annotation in kind.__annotations__.items()}
        line, end = encode_record(ChainEnd(), encode_body(TIME, kind(**fields)))
        assert check_record(ChainEnd(), line[:-1]) == end


def _example(annotation: object) -> object:
    if choices := get_args(annotation):
        return ("a",) if annotation == tuple[str, ...] else choices[0]
    return {str: "text", int: 7, bool: True}[annotation]  # pyright: ignore[reportArgumentType]


@given(st.text(max_size=200), st.integers(0, 2**60))
def test_whatever_a_peer_says_stays_inside_its_line(text: str, records: int) -> None:
    text = text.encode(errors="replace").decode()
    end = ChainEnd(records, bytes(range(32)))
    line, after = encode_record(end, encode_body(TIME, CallRefused(code=1, reason=text, client=text)))
    assert line.count(b"\n") == 1
    assert check_record(end, line[:-1]) == after
    assert json.loads(line)["reason"] == text


def test_examples_are_of_different_lengths() -> None:
    """So that moving lines moves bytes, in the tests that use them."""
    assert len({len(line) for line in make_lines()}) == len(EVENTS)
