"""Edges that a mutation run found open: the last value that is good, and the code where two refusals meet."""

import pytest

from sottovoce.wire import MAX_MESSAGE_BYTES, Code, FrameType, WireError, frames, is_json_object, messages, records
from sottovoce.wire.messages.tlv import tagged_u16
from sottovoce.wire.sframe import decode_header_untrusted

DEPTH = 256


def test_nesting_at_the_limit_beside_other_brackets() -> None:
    inner = DEPTH - 1
    assert is_json_object(b'{"a":' + b"[" * inner + b"]" * inner + b',"b":[],"c":{}}')


def test_the_first_tag_that_may_be_skipped_is_kept() -> None:
    hello = messages.ClientHello((1,), (1,), bytes(32), (), 0, skippable=((0x80, b"first"), (0xFF, b"last")))
    assert messages.ClientHello.decode_untrusted(hello.encode()).skippable == hello.skippable


def test_a_number_may_stand_alone() -> None:
    assert tagged_u16(b"\x00\x1d", "a share") == (0x1D, b"")


@pytest.mark.parametrize("cut", [b"\x06\xff", b"\x06\xff\xff"])
def test_a_header_that_is_cut_off_says_nothing_of_a_length(cut: bytes) -> None:
    with pytest.raises(WireError) as caught:
        messages.split_messages(cut)
    assert caught.value.code is Code.BAD_RECORD


def test_a_plain_record_is_too_large_whatever_it_holds() -> None:
    message = messages.encode_message(1, [(1, bytes(MAX_MESSAGE_BYTES // 2))])
    with pytest.raises(WireError) as caught:
        records.decode_plain_untrusted(records.encode_plain(message * 3))
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("header", [b"\x80\x05", b"\x08\x07", b"\x80\x00"])
def test_a_small_value_in_a_byte_of_its_own(header: bytes) -> None:
    with pytest.raises(WireError):
        decode_header_untrusted(header)


def test_a_bucket_ends_at_the_limit() -> None:
    limit = 8_168
    plaintext = frames.encode_plaintext(FrameType.PING, bytes(8_160), frames.PADDING_BUCKETS, limit)
    assert len(plaintext) == limit
