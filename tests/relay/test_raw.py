"""What the raw dialect lets through to a call, held against what the session will take."""

import contextlib

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sottovoce.relay import BackendMisbehaved
from sottovoce.relay.link import MeteredSink
from sottovoce.relay.raw import RawDialect
from sottovoce.session.talk import outbound
from sottovoce.wire import FRAME_MILLISECONDS, MAX_SMALL_RECORD_BYTES, Codec, frames
from tests.relay.calls import DATA_START, START, RecordingSink

TEXTS = st.builds(
    '{{"type": "{}", "{}": {}}}'.format,
    st.sampled_from(["mark", "json", "clear", "stop", "dtmf"]),
    st.sampled_from(["name", "value", "reason", "event"]),
    st.sampled_from(['"x"', "{}", '{"a": "\\ud800"}', '""', "null", "1e999", '{"a":1}  ', '"' + "é" * 40 + '"', "[]"]),
)


def passed(text: str | None = None, binary: bytes | None = None, *, data_session: bool = False) -> RecordingSink:
    """What the sink hears of one message."""
    start = DATA_START if data_session else START
    sink = RecordingSink()
    dialect = RawDialect(start, header=True)
    metered = MeteredSink(start, sink, 0.0)
    with contextlib.suppress(BackendMisbehaved):
        if text is not None:
            dialect.receive_text(text, metered)
        if binary is not None:
            dialect.receive_binary(binary, metered)
    return sink


@given(TEXTS, st.booleans())
@example('{"type": "mark", "name": ""}', False)  # noqa: FBT003
@example('{"type": "json", "value": {"a": "\\ud800"}}', False)  # noqa: FBT003
@example('{"type": "json", "value": {"a": 1e999}}', False)  # noqa: FBT003
def test_a_text_that_passes_is_one_that_the_session_can_seal(text: str, data_session: bool) -> None:  # noqa: FBT001
    for what, *values in passed(text, data_session=data_session).told:
        match what, values:
            case "mark", [str(name)]:
                assert frames.decode_mark_untrusted(name.encode()) == name
            case "json", [bytes(data)]:
                assert frames.decode_json_untrusted(data) == data
            case "dtmf", [int(event), int(duration)]:
                frames.decode_dtmf_untrusted(event.to_bytes(1) + duration.to_bytes(2))
            case _:
                assert what == "clear"


@given(st.binary(max_size=40))
@example(bytes.fromhex("30 00001f40 0000 ff7f"))
def test_audio_that_passes_is_one_that_the_session_can_seal(message: bytes) -> None:
    for what, codec_bytes, flags, timestamp in passed(binary=message).told:
        assert what == "audio"
        assert isinstance(codec_bytes, bytes)
        assert isinstance(flags, int)
        assert timestamp is None or isinstance(timestamp, int)
        payload = outbound.audio(codec_bytes, flags, timestamp)
        assert frames.decode_audio_untrusted(payload) == (flags, timestamp, codec_bytes)


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
@pytest.mark.parametrize("frame_ms", FRAME_MILLISECONDS)
def test_the_longest_frame_that_passes_fits_a_record(codec: Codec, frame_ms: int) -> None:
    start = msgspec.structs.replace(START, receive_codec=codec, frame_milliseconds=frame_ms)
    dialect = RawDialect(start, header=False)
    longest = dialect._shape.max_bytes
    assert frames.padded_bytes(1 + 4 + longest + 1) + 24 <= MAX_SMALL_RECORD_BYTES
    dialect.receive_binary(bytes(longest), MeteredSink(start, RecordingSink(), 0.0))


def test_a_hang_up_is_noted_and_not_told() -> None:
    sink = RecordingSink()
    metered = MeteredSink(START, sink, 0.0)
    RawDialect(START, header=False).receive_text('{"type": "stop", "reason": "a\\nb"}', metered)
    assert metered.hang_up == "a?b"
    assert sink.told == []
