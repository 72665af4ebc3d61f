"""The raw contract's messages beyond the document's examples: limits, and bytes that nobody should send."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sottovoce.relay import BackendFault, BackendMisbehaved
from sottovoce.relay import raw_messages as raw
from sottovoce.wire import FRAME_MILLISECONDS, Codec, frames
from tests.relay.calls import START

FLAGS = st.sets(st.sampled_from([frames.FLAG_TALK_SPURT, frames.FLAG_END_OF_TURN])).map(sum)
TIMESTAMPS = st.none() | st.integers(0, 2**32 - 1)
AUDIO_CODECS = [codec for codec in Codec if codec is not Codec.NONE]


def fault_of(text: str, *, data_session: bool = False) -> BackendFault:
    with pytest.raises(BackendMisbehaved) as caught:
        raw.decode_text_untrusted(text, data_session=data_session)
    assert "\n" not in str(caught.value)
    return caught.value.fault


@given(st.sampled_from(AUDIO_CODECS), st.sampled_from(FRAME_MILLISECONDS), st.binary(max_size=320), FLAGS, TIMESTAMPS)
def test_a_frame_that_an_echoing_backend_returns_is_the_frame(
    codec: Codec, frame_ms: int, codec_bytes: bytes, flags: int, timestamp: int | None
) -> None:
    shape = raw.audio_shape(codec, frame_ms)
    codec_bytes = codec_bytes[: shape.max_bytes - shape.max_bytes % 2]
    codec_bytes = codec_bytes[: len(codec_bytes) - len(codec_bytes) % shape.sample_bytes]
    payload = frames.encode_audio(codec_bytes, flags, timestamp)
    assert raw.encode_audio(payload, 0, header=False) == codec_bytes
    returned = raw.decode_audio_untrusted(raw.encode_audio(payload, 7, header=True), shape, header=True)
    assert returned == (codec_bytes, flags, timestamp)


def test_the_lost_count_stops_at_its_end() -> None:
    assert raw.encode_audio(b"\0x", 70_000, header=True) == bytes.fromhex("00 00000000 ffff") + b"x"


@given(st.binary(max_size=400), st.sampled_from(AUDIO_CODECS), st.booleans())
def test_any_binary_message_decodes_or_is_a_fault(message: bytes, codec: Codec, header: bool) -> None:  # noqa: FBT001
    try:
        codec_bytes, flags, _ = raw.decode_audio_untrusted(message, raw.audio_shape(codec, 20), header=header)
    except BackendMisbehaved as error:
        assert error.fault is BackendFault.BAD_AUDIO  # noqa: PT017
    else:
        assert message.endswith(codec_bytes)
        assert not flags & frames.UNKNOWN_FLAGS


@given(st.text(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
@example("\ud800")
@example('{"type":"json","value":' + "[" * 5000)
@example('{"type":"json","value":{"a":' + "[" * 3000 + "]" * 3000 + "}}")
@example('{"type":"mark","name":"\\ud800"}')
@example('{"type":"dtmf","event":true,"duration_ms":1}')
@example('{"type":"dtmf","event":1,"duration_ms":65536}')
@example('{"type":"start"}')
def test_text_that_is_no_message_is_one_fault_and_one_line(text: str) -> None:
    assert fault_of(text) is BackendFault.BAD_TEXT


@given(st.dictionaries(st.text(min_size=5), st.integers() | st.text() | st.none()))
def test_members_that_we_do_not_know_are_ignored(more: dict[str, object]) -> None:
    assert raw.decode_text_untrusted(json.dumps(more | {"type": "clear"})) == raw.ClearText()


def test_a_marks_name_ends_at_64_bytes_of_utf8() -> None:
    assert raw.decode_text_untrusted(raw.encode_mark("é" * 32)) == raw.MarkText("é" * 32)
    assert fault_of(raw.encode_mark("é" * 32 + "x")) is BackendFault.BAD_TEXT


def test_a_json_value_ends_at_4000_bytes_as_written() -> None:
    fits = json.dumps({"a": "x" * (4000 - 9)})
    assert len(fits) == 4000
    message = raw.decode_text_untrusted(f'{{"type":"json","value":{fits}}}')
    assert message == raw.JsonText(msgspec.Raw(fits.encode()))
    assert fault_of(f'{{"type":"json","value":{fits[:-1]} }}}}') is BackendFault.BAD_TEXT


@pytest.mark.parametrize("text", [raw.encode_mark("x"), raw.encode_dtmf(1, 1), '{"type":"clear"}'])
def test_a_data_session_has_no_audio_controls(text: str) -> None:
    assert fault_of(text, data_session=True) is BackendFault.BAD_TEXT


def test_a_data_session_has_json_and_stop() -> None:
    for text in ('{"type":"json","value":{}}', '{"type":"stop"}'):
        assert raw.decode_text_untrusted(text, data_session=True)


def test_data_ends_at_8000_bytes() -> None:
    assert len(raw.decode_data_untrusted(bytes(8000))) == 8000
    with pytest.raises(BackendMisbehaved, match="8001 bytes of data"):
        raw.decode_data_untrusted(bytes(8001))


def test_a_fixed_rate_frame_is_at_most_its_duration_and_whole_samples() -> None:
    shape = raw.audio_shape(Codec.PCM16_16K, 20)
    assert raw.decode_audio_untrusted(bytes(640), shape, header=False) == (bytes(640), 0, None)
    assert raw.decode_audio_untrusted(b"", shape, header=False) == (b"", 0, None)
    for length in (641, 642, 639):
        with pytest.raises(BackendMisbehaved, match=f"bad_audio: {length} bytes"):
            raw.decode_audio_untrusted(bytes(length), shape, header=False)


def test_metadata_reaches_the_backend_byte_for_byte() -> None:
    spaced = b'{"a" :  1e3, "a": "\xc3\xa9"}'
    assert spaced.decode() in raw.encode_start(msgspec.structs.replace(START, metadata=spaced), header=False)


def test_each_codec_has_a_name_of_its_own_at_its_rate() -> None:
    assert len({(raw.CODEC_NAMES[codec], codec.sample_rate) for codec in Codec}) == len(Codec)
