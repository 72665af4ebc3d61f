"""One call's messages both ways, without a socket."""

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay import BackendFault, BackendMisbehaved, TwilioOptions, g711
from sottovoce.relay.link import Later
from sottovoce.relay.link.playout import MAX_MARKS
from sottovoce.relay.twilio import CODECS
from sottovoce.relay.twilio.dialect import MAX_MARKS_BACK
from sottovoce.relay.twilio.messages import MAX_MARK_NAME_BYTES
from sottovoce.wire import FRAME_MILLISECONDS, Codec
from tests.relay.calls import END, STATISTICS
from tests.relay.twilio.stream import STREAM, Streaming, from_bot, mark, media, payload_of, starting

SILENCE = b"\xff" * 160
CODES = bytes(range(256)) * 40
TO_LINEAR = {Codec.PCMU_8K: g711.mulaw_to_pcm16, Codec.PCMA_8K: g711.alaw_to_pcm16, Codec.PCM16_8K: bytes}


def codec_bytes_of(codec: Codec, mulaw: bytes) -> bytes:
    """What a client of this codec says so that the bot hears this."""
    match codec:
        case Codec.PCMA_8K:
            return g711.mulaw_to_alaw(mulaw)
        case Codec.PCM16_8K:
            return g711.mulaw_to_pcm16(mulaw)
        case _:
            return mulaw


def heard(streaming: Streaming) -> bytes:
    return b"".join(payload_of(text) for text in streaming.texts if text["event"] == "media")


def test_the_call_is_told() -> None:
    connected, start = Streaming(starting(), TwilioOptions()).texts
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["streamSid"] == start["start"]["streamSid"] == STREAM
    assert start["start"]["callSid"] == "CA" + STREAM[2:]
    assert start["start"]["tracks"] == ["inbound"]


@given(
    st.sampled_from(sorted(CODECS)),
    st.sampled_from(FRAME_MILLISECONDS),
    st.lists(st.one_of(st.just(0), st.just(1), st.integers(0, 480)), max_size=20),
)
def test_frames_in_are_chunks_of_20_ms_out(codec: Codec, frame_ms: int, lengths: list[int]) -> None:
    """0: silence; 1: a whole frame; else so many samples, as the last frame of a recording has."""
    streaming = Streaming(starting(codec, frame_ms))
    at, said = 0, b""
    for length in lengths:
        samples = 8 * frame_ms if length == 1 else length
        frame = codec_bytes_of(codec, CODES[at : at + samples])
        at += samples
        streaming.say(frame)
        said += TO_LINEAR[codec](frame) or bytes(16 * frame_ms)
    streaming.put(streaming.dialect.stop(END, STATISTICS))  # type: ignore[arg-type]  # not looked at
    *_, stop = streaming.texts
    chunks = streaming.texts[2:-1]
    assert stop["event"] == "stop"
    linear = g711.mulaw_to_pcm16(heard(streaming))
    expected = said if codec is not Codec.PCMA_8K else g711.mulaw_to_pcm16(g711.pcm16_to_mulaw(said))
    assert linear[: len(said)] == expected
    assert not any(linear[len(said) :])
    assert len(linear) - len(said) < 320
    assert [text["media"]["chunk"] for text in chunks] == [str(number) for number in range(1, len(chunks) + 1)]
    assert [text["media"]["timestamp"] for text in chunks] == [str(20 * number) for number in range(len(chunks))]
    assert [text["sequenceNumber"] for text in streaming.texts[1:]] == [str(n) for n in range(1, len(chunks) + 3)]
    assert all(len(payload_of(text)) == 160 for text in chunks)


def test_silence_is_sent_and_not_left_out() -> None:
    streaming = Streaming(starting(Codec.PCMA_8K))
    streaming.say(b"")
    assert heard(streaming) == SILENCE


def test_a_hole_moves_the_clock() -> None:
    streaming = Streaming(starting(frame_ms=40))
    streaming.say(bytes(320))
    streaming.say(bytes(320), lost_before=3)
    assert [text["media"]["timestamp"] for text in streaming.texts[2:]] == ["0", "20", "160", "180"]


def test_half_a_sample_is_left_out() -> None:
    streaming = Streaming(starting(Codec.PCM16_8K))
    streaming.say(bytes(321))
    assert heard(streaming) == SILENCE


def test_numbers_follow_the_order_in_which_things_leave() -> None:
    streaming = Streaming(starting())
    key = streaming.dialect.dtmf(15, 0)  # made first, and written behind a frame
    streaming.say(SILENCE)
    streaming.put(key)
    streaming.say(SILENCE)
    assert [(text["event"], text["sequenceNumber"]) for text in streaming.texts[1:]] == [
        ("start", "1"), ("media", "2"), ("dtmf", "3"), ("media", "4")
    ]  # fmt: skip
    assert streaming.texts[3]["dtmf"]["digit"] == "D"


def test_what_has_no_message_is_not_sent() -> None:
    dialect = Streaming().dialect
    assert dialect.mute(muted=True) is None
    assert dialect.json(b"{}") is None
    assert dialect.mark_played("never set") is None


@given(
    st.sampled_from(sorted(CODECS)),
    st.sampled_from(FRAME_MILLISECONDS),
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_payloads_of_any_length_come_out_in_frames_of_the_call(codec: Codec, frame_ms: int, lengths: list[int]) -> None:
    streaming = Streaming(starting(codec, frame_ms))
    for at, length in pairwise([0, *lengths]):
        streaming.hear(media(CODES[at : at + length]))
    said = b"".join(CODES[at : at + length] for at, length in pairwise([0, *lengths]))
    streaming.run_until(60.0)
    assert streaming.given == codec_bytes_of(codec, said)
    frame_bytes = codec.frame_bytes(frame_ms)
    assert all(len(told[1]) <= frame_bytes for told in streaming.sink.told)  # type: ignore[arg-type]  # bytes


def test_a_mark_comes_back_once_it_was_played() -> None:
    streaming = Streaming()
    streaming.hear(media(SILENCE))
    streaming.hear(mark("greeting"))
    assert streaming.sink.told == [("audio", SILENCE, 0, None), ("mark", "1:greeting")]
    assert streaming.marks == []
    streaming.put(streaming.dialect.mark_played("1:greeting"))
    streaming.put(streaming.dialect.mark_played("1:greeting"))
    assert streaming.marks == ["greeting"]


def test_clear_takes_audio_back_and_brings_the_marks() -> None:
    streaming = Streaming()
    streaming.hear(media(SILENCE * 500))
    streaming.hear(mark("same"))
    streaming.hear(mark("same"))
    given = len(streaming.sink.told)
    assert 0 < given < 50
    streaming.hear(from_bot("clear"))
    assert streaming.sink.told[given:] == [("clear",)]
    assert streaming.marks == ["same", "same"]
    streaming.run_until(60.0)
    assert len(streaming.sink.told) == given + 1
    streaming.hear(from_bot("clear"))
    assert streaming.marks == ["same", "same"]


def test_what_is_too_far_ahead_is_dropped_and_counted() -> None:
    streaming = Streaming()
    streaming.hear(media(SILENCE * 3000))
    assert streaming.metered.dropped_frames == 0
    streaming.hear(media(SILENCE * 30))
    assert streaming.metered.dropped_frames == pytest.approx(30 - 20, abs=2)  # 0.4 s have been given


def fault_of(text: str | bytes) -> BackendFault:
    streaming = Streaming()
    with pytest.raises(BackendMisbehaved) as caught:
        streaming.hear(text)
    assert "\n" not in str(caught.value)
    return caught.value.fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"\xff" * 160, BackendFault.BAD_AUDIO),
        ("[" * 100_000, BackendFault.BAD_TEXT),
        ('{"event": "media", "x": ' + "[" * 100_000, BackendFault.BAD_TEXT),
        ("not json\n\x1b[2J", BackendFault.BAD_TEXT),
        (json.dumps({"event": "clear", "streamSid": "x" * 10_000}), BackendFault.BAD_TEXT),
        (json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": "é==="}}), BackendFault.BAD_AUDIO),
        (mark("x" * (MAX_MARK_NAME_BYTES + 1)), BackendFault.BAD_TEXT),
        (f'{{"event": "mark", "streamSid": "{STREAM}", "mark": {{"name": "\\ud800"}}}}', BackendFault.BAD_TEXT),
    ],
)
def test_what_is_at_fault(text: str | bytes, fault: BackendFault) -> None:
    assert fault_of(text) == fault


def test_unknown_events_are_ignored_until_they_are_a_flood() -> None:
    streaming = Streaming()
    for _ in range(250):
        streaming.hear('{"event": "transcript"}')
    assert streaming.sink.told == []
    with pytest.raises(BackendMisbehaved, match="flood"):
        streaming.hear('{"event": "transcript"}')


def test_a_flood_of_marks_and_of_clears() -> None:
    streaming = Streaming()
    streaming.hear(media(SILENCE * 500))
    for _ in range(MAX_MARKS):
        streaming.hear(mark("x"))
    with pytest.raises(BackendMisbehaved, match="flood: more than 1000 marks"):
        streaming.hear(mark("x"))
    for _ in range(250):
        streaming.hear(from_bot("clear"))
    with pytest.raises(BackendMisbehaved, match="flood"):
        streaming.hear(from_bot("clear"))


def test_a_bot_that_has_marks_come_back_and_does_not_read_them() -> None:
    """Its names would wait here by the megabyte: each clear is allowed, and so is each mark."""
    streaming = Streaming()

    def have_them_come_back() -> None:
        for number in range(MAX_MARKS):
            streaming.dialect.receive_text(mark(f"{number}"), streaming.metered)
        streaming.dialect.receive_text(from_bot("clear"), streaming.metered)

    for _ in range(MAX_MARKS_BACK // MAX_MARKS):
        have_them_come_back()
    unread = streaming.metered.answers
    with pytest.raises(BackendMisbehaved, match="flood: more than 4000 marks came back"):
        have_them_come_back()
    assert sum(len(later.messages()) for later in unread if isinstance(later, Later)) == MAX_MARKS_BACK + MAX_MARKS


def test_a_bot_that_reads_may_have_as_many_marks_come_back_as_it_likes() -> None:
    streaming = Streaming()
    for _ in range(2 * MAX_MARKS_BACK // MAX_MARKS):
        for _ in range(MAX_MARKS):
            streaming.dialect.receive_text(mark("x"), streaming.metered)
        streaming.dialect.receive_text(from_bot("clear"), streaming.metered)
        for later in streaming.metered.answers:
            assert isinstance(later, Later)
            assert len(later.messages()) == MAX_MARKS
        streaming.metered.answers.clear()


@pytest.mark.parametrize(("code", "is_hang_up"), [(1000, True), (1001, True), (1005, True), (1011, False)])
def test_closing_is_hanging_up(code: int, is_hang_up: bool) -> None:  # noqa: FBT001
    streaming = Streaming()
    streaming.dialect.closed(code, streaming.metered)
    assert (streaming.metered.hang_up is not None) is is_hang_up


def test_codecs_may_differ_in_the_two_directions() -> None:
    start = msgspec.structs.replace(starting(Codec.PCM16_8K), receive_codec=Codec.PCMA_8K)
    streaming = Streaming(start)
    streaming.say(g711.mulaw_to_pcm16(CODES[:160]))
    streaming.hear(media(CODES[:160]))
    assert heard(streaming) == g711.pcm16_to_mulaw(g711.mulaw_to_pcm16(CODES[:160]))
    assert streaming.given == g711.mulaw_to_alaw(CODES[:160])
