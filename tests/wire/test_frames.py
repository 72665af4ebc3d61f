"""Frames: padding, what may come when, and the syntax of each payload."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.wire import MAX_SMALL_RECORD_BYTES, Code, Codec, FrameType, WireError, frames

BUCKETS = [88, 128, 168, 248, 328, 408, 648, 968, *(320 * n + 8 for n in range(4, 26))]


def code(call: object, *args: object, **kwargs: object) -> Code | None:
    """What `call` refuses its arguments with."""
    assert callable(call)
    try:
        call(*args, **kwargs)
    except WireError as error:
        return error.code
    return None


@pytest.mark.protocol("P9.29")
@given(st.integers(1, 8_000))
def test_the_bucket_is_the_smallest_that_fits(length: int) -> None:
    assert frames.padded_bytes(length) == min(bucket for bucket in BUCKETS if bucket >= length)


@pytest.mark.protocol("P9.30")
@pytest.mark.parametrize(
    ("codec", "milliseconds", "expected"),
    [
        (Codec.OPUS_48K_MONO, 20, 408),
        (Codec.OPUS_48K_STEREO, 60, 408),
        (Codec.PCM16_16K, 20, 648),
        (Codec.PCMU_8K, 10, 88),
        (Codec.PCM16_48K, 60, 5768),
    ],
)
def test_the_one_size_of_class_2(codec: Codec, milliseconds: int, expected: int) -> None:
    assert frames.constant_bytes(codec, milliseconds) == expected
    plaintext = frames.encode_constant(FrameType.AUDIO, b"\0voice", expected)
    assert len(plaintext) == expected
    assert frames.split_plaintext_untrusted(plaintext) == (FrameType.AUDIO, b"\0voice")


@pytest.mark.protocol("P9.1", "P9.2", "P9.28", "P9.31")
@given(payload=st.binary(max_size=400), kind=st.integers(1, 255), padding=st.sampled_from([0, 1]))
def test_what_is_built_is_taken_apart_again(payload: bytes, kind: int, padding: int) -> None:
    plaintext = frames.encode_plaintext(kind, payload, padding, 400)
    assert frames.split_plaintext_untrusted(plaintext) == (kind, payload)
    length = len(payload) + 1
    assert len(plaintext) == (length if padding == frames.PADDING_NONE else max(length, min(400, len(plaintext))))
    assert code(frames.split_plaintext_untrusted, bytes(len(plaintext))) == Code.BAD_RECORD
    assert code(frames.split_plaintext_untrusted, b"") == Code.BAD_RECORD


def _allowed(kind: int, size: int = 100, *, up: bool = True, data: bool = False, ordered: bool = True) -> object:
    return code(frames.allowed_untrusted, kind, size, from_client=up, data_session=data, ordered=ordered)


@pytest.mark.protocol("P9.3", "P9.4", "P9.19", "P9.25", "P9.26", "P1.13", "P1.14")
def test_who_may_send_what_and_where() -> None:
    assert [kind for kind in range(256) if _allowed(kind) is None] == [*range(1, 11), 12, *range(0x80, 256)]
    assert [kind for kind in range(0x80) if _allowed(kind, up=False) is None] == [*range(1, 12)]
    assert [kind for kind in range(0x80) if _allowed(kind, data=True) is None] == [2, 4, 5, 6, 7, 8, 9, 13]
    assert [kind for kind in range(256) if _allowed(kind, ordered=False) is None] == [1, 4, 5, 9, *range(0x80, 256)]
    assert [kind for kind in range(0x80) if _allowed(kind, data=True, ordered=False) is None] == [4, 5, 9]
    assert {_allowed(kind, ordered=False) for kind in (2, 3, 6, 7, 8, 10, 12)} == {Code.BAD_RECORD}
    assert {_allowed(kind) for kind in (0, 11, 13, 14, 0x7F)} == {Code.BAD_RECORD}


@pytest.mark.protocol("P2.19")
@pytest.mark.parametrize("kind", [*(k for k in FrameType if k not in {FrameType.CLEAR, FrameType.DATA}), 0x80])
def test_the_size_of_a_record_by_its_type(kind: int) -> None:
    too_long = _allowed(kind, MAX_SMALL_RECORD_BYTES + 1)
    assert _allowed(kind, MAX_SMALL_RECORD_BYTES) is None
    assert too_long == (None if kind in frames.LARGE_TYPES else Code.TOO_LARGE)


@pytest.mark.protocol("P9.5", "P9.6")
@given(
    flags=st.sampled_from([0, 0x20, 0x40, 0x60]),
    timestamp=st.none() | st.integers(0, 2**32 - 1),
    codec_bytes=st.binary(max_size=20),
)
def test_audio_goes_there_and_back(flags: int, timestamp: int | None, codec_bytes: bytes) -> None:
    payload = frames.encode_audio(codec_bytes, flags, timestamp)
    assert frames.decode_audio_untrusted(payload) == (flags, timestamp, codec_bytes)


@pytest.mark.protocol("P9.5", "P9.6")
def test_audio_that_is_none() -> None:
    for bad in (b"", b"\x01", b"\x80x", b"\x10", b"\x10\0\0\0"):
        assert code(frames.decode_audio_untrusted, bad) == Code.BAD_RECORD


GOOD_AND_BAD = [
    (frames.decode_switch_untrusted, b"\0\0\1\2", 258, (b"", b"\0\0\0", bytes(5))),
    (frames.decode_dtmf_untrusted, b"\x0f\x01\x02", (15, 258), (b"", b"\x01\0", b"\x10\0\1", bytes(4))),
    (frames.decode_ping_untrusted, b"12345678", b"12345678", (b"", b"1234567", b"123456789")),
    (frames.decode_close_untrusted, b"\x11\x30", 4400, (b"", b"\x11", bytes(3))),
    (
        frames.decode_json_untrusted,
        b'{"a":[]}',
        b'{"a":[]}',
        (b"", b"[]", b"{", b"{}{}", b'{"a":"' + b"x" * 3993 + b'"}'),
    ),
    (frames.decode_mark_untrusted, "é".encode(), "é", (b"\xff", b"\xc3", b"x" * 65)),
    (frames.decode_clear_untrusted, b"", None, (b"x",)),
    (frames.decode_mute_untrusted, b"\x01", True, (b"", b"\x02", b"\0\0")),
    (frames.decode_mute_untrusted, b"\x00", False, (b"\xff",)),
    (frames.decode_data_untrusted, b"x" * 8000, b"x" * 8000, (b"x" * 8001,)),
]


@pytest.mark.protocol("P9.8", "P9.9", "P9.10", "P9.12", "P9.13", "P9.15", "P9.16", "P9.17")
@pytest.mark.parametrize(("decode", "good", "value", "bad"), GOOD_AND_BAD)
def test_the_syntax_of_payloads(decode: object, good: bytes, value: object, bad: tuple[bytes, ...]) -> None:
    assert callable(decode)
    assert decode(good) == value
    assert [code(decode, payload) for payload in bad] == [Code.BAD_RECORD] * len(bad)


@pytest.mark.protocol("P9.13", "P3.19")
@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":' + b"[" * 3990,
        b'{"\xff":1}',
        b"{} x",
    ],
)
def test_json_that_a_reader_could_trip_over(text: bytes) -> None:
    assert code(frames.decode_json_untrusted, text) == Code.BAD_RECORD
