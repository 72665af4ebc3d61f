"""TLVs and message headers: every byte string is split whole, or refused by name."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.wire import MAX_MESSAGE_BYTES, Code, WireError, messages
from sottovoce.wire.messages.tlv import fixed, known_tlvs, u16_list, unsigned

fields = st.dictionaries(st.integers(0, 255), st.binary(max_size=9), max_size=6).map(lambda d: sorted(d.items()))


@pytest.mark.protocol("P2.6", "P2.7", "P2.14")
@given(fields, st.integers(0, 255))
def test_what_is_encoded_is_decoded(pairs: list[tuple[int, bytes]], kind: int) -> None:
    assert messages.decode_tlvs(messages.encode_tlvs(pairs)) == pairs
    message = messages.encode_message(kind, pairs)
    assert messages.split_messages(message + message) == [(kind, message)] * 2
    assert messages.body_of(message) == messages.encode_tlvs(pairs)


@pytest.mark.protocol("P2.7", "P2.10", "P2.12", "P11.4")
@given(fields.filter(bool))
def test_cut_at_any_byte_a_body_is_refused_or_shorter(pairs: list[tuple[int, bytes]]) -> None:
    whole = messages.encode_tlvs(pairs)
    ends = {len(messages.encode_tlvs(pairs[:count])) for count in range(len(pairs) + 1)}
    for end in set(range(len(whole))) - ends:
        with pytest.raises(WireError):
            messages.decode_tlvs(whole[:end])


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_one_error_and_lose_nothing(data: bytes) -> None:
    code: Code | None = None
    try:
        assert messages.encode_tlvs(messages.decode_tlvs(data)) == data
    except WireError as error:
        code = error.code
    assert code in {None, Code.BAD_RECORD}
    try:
        assert b"".join(message for _, message in messages.split_messages(data)) == data
    except WireError as error:
        code = error.code
    assert code in {None, Code.BAD_RECORD, Code.TOO_LARGE}


@pytest.mark.protocol("P2.7")
@pytest.mark.parametrize("pairs", [[(2, b""), (1, b"")], [(1, b""), (1, b"")]])
def test_tags_ascend(pairs: list[tuple[int, bytes]]) -> None:
    with pytest.raises(WireError):
        messages.decode_tlvs(messages.encode_tlvs(pairs))


@pytest.mark.protocol("P2.8", "P2.9", "P2.11")
def test_known_unknown_and_missing_tags() -> None:
    body = messages.encode_tlvs([(1, b"a"), (2, b"b"), (0x80, b"c"), (0xFF, b"d")])
    assert known_tlvs(body, mandatory=frozenset({1}), optional=frozenset({2, 3})) == {1: b"a", 2: b"b"}
    for mandatory in ({1}, {1, 2, 3}):
        with pytest.raises(WireError):
            known_tlvs(body, mandatory=frozenset(mandatory))


@pytest.mark.protocol("P2.15", "P2.10")
def test_the_size_of_a_message() -> None:
    largest = b"\x01" + (MAX_MESSAGE_BYTES - 4).to_bytes(3) + bytes(MAX_MESSAGE_BYTES - 4)
    assert messages.split_messages(largest) == [(1, largest)]
    for data, code in (
        (b"\x01" + (MAX_MESSAGE_BYTES - 3).to_bytes(3), Code.TOO_LARGE),
        (b"", Code.BAD_RECORD),
        (b"\x01\0\0", Code.BAD_RECORD),
        (b"\x01\0\0\x01", Code.BAD_RECORD),
        (b"\x01\0\0\0\x02", Code.BAD_RECORD),
    ):
        with pytest.raises(WireError) as caught:
            messages.split_messages(data)
        assert caught.value.code is code


def test_values_of_a_wrong_length() -> None:
    assert fixed(b"ab", 2, "it") == b"ab"
    assert unsigned(b"\x01\x02", 2, "it") == 258
    assert u16_list(b"\0\1\0\2", "it") == (1, 2)
    assert messages.tagged_u16(b"\x11\xecshare", "it") == (0x11EC, b"share")
    for refused in (
        lambda: fixed(b"a", 2, "it"),
        lambda: unsigned(b"\1", 2, "it"),
        lambda: u16_list(b"\1", "it"),
        lambda: messages.tagged_u16(b"\1", "it"),
    ):
        with pytest.raises(WireError) as caught:
            refused()
        assert str(caught.value).startswith("bad_record: it ")
