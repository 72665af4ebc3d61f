import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.transport.limits import UPGRADE_BYTES
from sottovoce.transport.websocket.head import HeadBuffer, HeadTooLargeError

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@given(st.integers(0, len(HEAD) - 1), st.binary(max_size=20))
def test_a_head_ends_at_its_blank_line_wherever_it_is_cut(at: int, rest: bytes) -> None:
    buffer = HeadBuffer()
    assert buffer.add(HEAD[:at]) is None
    assert buffer.add(HEAD[at:] + rest) == (HEAD, rest)


def test_byte_by_byte() -> None:
    buffer = HeadBuffer()
    assert [buffer.add(bytes([each])) for each in HEAD] == [None] * (len(HEAD) - 1) + [(HEAD, b"")]


@pytest.mark.parametrize("piece_bytes", [1, 1_000, UPGRADE_BYTES + 1])
def test_too_large_is_known_at_the_first_byte_too_many(piece_bytes: int) -> None:
    buffer = HeadBuffer()
    allowed, sent = UPGRADE_BYTES, 0
    with pytest.raises(HeadTooLargeError):  # noqa: PT012  # which of the calls raises is what is asked
        while sent <= 2 * UPGRADE_BYTES:
            sent += piece_bytes
            buffer.add(b"x" * piece_bytes)
    assert allowed < sent <= allowed + piece_bytes


def test_what_comes_behind_may_be_large() -> None:
    assert HeadBuffer().add(HEAD + bytes(UPGRADE_BYTES)) == (HEAD, bytes(UPGRADE_BYTES))
