"""The control stream's framing: records with their lengths, however the stream is cut."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.wire import MAX_TRANSPORT_MESSAGE_BYTES, Code, StreamReader, WireError, encode_stream_record


@pytest.mark.protocol("P1.12")
@given(
    records=st.lists(st.binary(max_size=300), max_size=8), cuts=st.lists(st.integers(1, 50), min_size=1, max_size=60)
)
def test_records_come_out_as_they_went_in_however_the_stream_is_cut(records: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(record).to_bytes(4) + record for record in records)
    assert stream == b"".join(map(encode_stream_record, records))
    reader = StreamReader()
    found: list[bytes] = []
    turn = 0
    while stream:
        size = cuts[turn % len(cuts)]
        found += reader.receive_untrusted(stream[:size])
        stream = stream[size:]
        turn += 1
    assert found == records
    assert reader.is_between_records


@pytest.mark.protocol("P1.12")
def test_a_stream_that_ends_inside_a_record() -> None:
    reader = StreamReader()
    assert reader.receive_untrusted(b"\0\0\0\x03ab") == []
    assert not reader.is_between_records
    assert reader.receive_untrusted(b"c\0") == [b"abc"]
    assert not reader.is_between_records


@pytest.mark.protocol("P1.12")
def test_a_length_that_no_record_has() -> None:
    longest = b"x" * MAX_TRANSPORT_MESSAGE_BYTES
    assert StreamReader().receive_untrusted(encode_stream_record(longest)) == [longest]
    with pytest.raises(WireError) as caught:
        StreamReader().receive_untrusted((MAX_TRANSPORT_MESSAGE_BYTES + 1).to_bytes(4))
    assert caught.value.code == Code.TOO_LARGE
