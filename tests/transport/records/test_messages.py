import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.transport.records.alerts import Alert, RecordRefused
from sottovoce.transport.records.messages import UPDATE, UPDATE_REQUESTED, MessageReader, key_update

TICKET = b"\4\0\0\x0eany fourteen b"


def read(pieces: list[bytes], *, takes_tickets: bool = True) -> list[int | None]:
    """Have a reader take each as a record's content."""
    reader = MessageReader(takes_tickets=takes_tickets)
    return [reader.read(piece) for piece in pieces]


@given(st.integers(0, 3), st.booleans(), st.lists(st.integers(1, 40), max_size=30))
def test_however_they_are_cut(tickets: int, requests: bool, sizes: list[int]) -> None:  # noqa: FBT001  from hypothesis
    content, pieces = TICKET * tickets + key_update(requests=requests), list[bytes]()
    for size in sizes:
        pieces.append(content[:size])
        content = content[size:]
    pieces = [piece for piece in (*pieces, content) if piece]
    answers = read(pieces)
    assert answers[-1] == (UPDATE_REQUESTED if requests else UPDATE)
    assert set(answers[:-1]) <= {None}


def test_whether_one_has_begun() -> None:
    reader = MessageReader(takes_tickets=True)
    for piece, is_within in ((b"\4", True), (b"\0\0\2", True), (b"a", True), (b"b", False), (b"\4\0\0\0", False)):
        assert reader.read(piece) is None
        assert reader.is_within is is_within
    assert reader.read(b"\x18\0\0\1") is None
    assert reader.is_within
    assert reader.read(b"\0") == UPDATE
    assert not reader.is_within


@pytest.mark.parametrize(
    ("content", "alert"),
    [
        (b"\x01\0\0\0", Alert.UNEXPECTED_MESSAGE),  # ClientHello: there is no renegotiation
        (b"\x00\0\0\0", Alert.UNEXPECTED_MESSAGE),  # HelloRequest
        (b"\x0d\0\0\0", Alert.UNEXPECTED_MESSAGE),  # CertificateRequest: not agreed on
        (b"\x14\0\0\x20", Alert.UNEXPECTED_MESSAGE),  # Finished
        (b"\x04\2\1\x0a", Alert.UNEXPECTED_MESSAGE),  # a ticket longer than there are
        (b"\x18\0\0\0", Alert.DECODE_ERROR),
        (b"\x18\0\0\2", Alert.DECODE_ERROR),
        (b"\x18\1\0\1", Alert.DECODE_ERROR),
        (b"\x18\0\0\1\2", Alert.ILLEGAL_PARAMETER),
        (b"\x18\0\0\1\xff", Alert.ILLEGAL_PARAMETER),
        (b"\x18\0\0\1\0\x18", Alert.UNEXPECTED_MESSAGE),  # it reaches over the change of keys
        (b"\x18\0\0\1\0\x18\0\0\1\0", Alert.UNEXPECTED_MESSAGE),
        (TICKET + b"\x08\0\0\2\0\0", Alert.UNEXPECTED_MESSAGE),
    ],
)
def test_what_is_refused(content: bytes, alert: Alert) -> None:
    with pytest.raises(RecordRefused) as refused:
        read([content])
    assert refused.value.alert is alert


def test_a_server_takes_no_tickets() -> None:
    with pytest.raises(RecordRefused):
        read([TICKET], takes_tickets=False)
