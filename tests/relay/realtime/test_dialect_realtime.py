"""One call's events both ways, without a socket."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.relay import BackendFault, BackendMisbehaved, RealtimeOptions, g711
from sottovoce.relay.realtime import CODECS
from sottovoce.relay.realtime.dialect import EVENT_BURST
from sottovoce.wire import FRAME_MILLISECONDS, Codec
from tests.relay.calls import END, STATISTICS
from tests.relay.realtime.server import SPEECH, Conversing, created, delta, done, starting
from tests.relay.realtime.sound import heard_tone, tone

SECOND = tone(500, 24_000, 1)
TO_LINEAR = {Codec.PCMU_8K: g711.mulaw_to_pcm16, Codec.PCMA_8K: g711.alaw_to_pcm16}
FROM_LINEAR = {Codec.PCMU_8K: g711.pcm16_to_mulaw, Codec.PCMA_8K: g711.pcm16_to_alaw}
AS_GOOD_AS = {Codec.PCMU_8K: 35, Codec.PCMA_8K: 35}
"""dB: what G.711 leaves of a tone; linear samples leave 60."""


def test_the_session_is_asked_for_in_the_format_of_the_call() -> None:
    (update,) = Conversing().texts
    assert update["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24_000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}},
        },
    }
    _, greeting = Conversing(options=RealtimeOptions(speaks_first=True)).texts
    assert greeting == {"type": "response.create"}


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("frame_ms", [20, 60])
def test_a_tone_is_right_both_ways(codec: Codec, rate: int, frame_ms: int) -> None:
    conversing = Conversing(starting(codec, frame_ms), RealtimeOptions(rate=rate))
    said = FROM_LINEAR.get(codec, bytes)(tone(700, codec.sample_rate, 0.48))
    frame_bytes = codec.frame_bytes(frame_ms)
    for at in range(0, len(said), frame_bytes):
        conversing.say(said[at : at + frame_bytes])
    assert len(conversing.heard) == 2 * rate * 48 // 100
    amplitude, distance = heard_tone(conversing.heard, 700, rate)
    assert amplitude == pytest.approx(12_000, rel=0.01)
    assert distance > AS_GOOD_AS.get(codec, 60)
    conversing.hear(delta(tone(700, rate, 0.48)))
    conversing.run_until(10)
    back = TO_LINEAR.get(codec, bytes)(conversing.given)
    assert len(back) == 2 * codec.sample_rate * 48 // 100
    amplitude, distance = heard_tone(back, 700, codec.sample_rate)
    assert amplitude == pytest.approx(12_000, rel=0.01)
    assert distance > AS_GOOD_AS.get(codec, 60)


@pytest.mark.parametrize(
    ("codec", "ga", "beta", "silence"),
    [(Codec.PCMU_8K, "audio/pcmu", "g711_ulaw", 0xFF), (Codec.PCMA_8K, "audio/pcma", "g711_alaw", 0xD5)],
)
@pytest.mark.parametrize("frame_ms", [20, 60])
def test_g711_may_be_left_as_it_is(codec: Codec, ga: str, beta: str, silence: int, frame_ms: int) -> None:
    start = starting(codec, frame_ms)
    (old,) = Conversing(start, RealtimeOptions(g711=True, dialect="beta")).texts
    assert old["session"]["input_audio_format"] == old["session"]["output_audio_format"] == beta
    conversing = Conversing(start, RealtimeOptions(g711=True))
    audio = conversing.texts[0]["session"]["audio"]
    assert audio == {"input": {"format": {"type": ga}}, "output": {"format": {"type": ga}}}
    said = bytes(range(256)) * 15
    conversing.say(said)
    conversing.say(b"")
    assert conversing.heard == said + bytes([silence]) * codec.frame_bytes(frame_ms)
    for event in (created(), delta(said[:1]), delta(said[1:])):
        conversing.hear(event)
    conversing.run_until(0.24)
    conversing.hear(SPEECH)
    assert conversing.texts[-1]["audio_end_ms"] == pytest.approx(240, abs=1)
    assert said.startswith(conversing.given)


def test_g711_is_no_matter_for_linear_samples_and_each_direction_has_its_format() -> None:
    conversing = Conversing(starting(Codec.PCMU_8K, receive_codec=Codec.PCM16_16K), RealtimeOptions(g711=True))
    audio = conversing.texts[0]["session"]["audio"]
    assert audio["input"]["format"] == {"type": "audio/pcmu"}
    assert audio["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    conversing.hear(delta(bytes(960)))
    assert conversing.given == bytes(640)


def test_silence_is_sent_and_not_left_out() -> None:
    conversing = Conversing(starting(Codec.PCMA_8K))
    conversing.say(b"", lost_before=7)
    assert conversing.heard == bytes(960)


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(CODECS)),
    st.sampled_from(FRAME_MILLISECONDS),
    st.lists(st.integers(0, 3_000), max_size=6),
    st.sampled_from([16_000, 24_000]),
)
def test_deltas_of_any_length_come_out_in_frames_of_the_call(
    codec: Codec, frame_ms: int, lengths: list[int], rate: int
) -> None:
    conversing = Conversing(starting(codec, frame_ms), RealtimeOptions(rate=rate))
    for length in lengths:
        conversing.hear(delta(SECOND[: 2 * length]))
    conversing.run_until(60.0)
    frame_bytes = codec.frame_bytes(frame_ms)
    assert all(len(told[1]) <= frame_bytes for told in conversing.sink.told)  # type: ignore[arg-type]  # bytes
    seconds = len(conversing.given) / (codec.sample_rate * codec.bytes_per_sample)
    assert seconds == pytest.approx(sum(lengths) / rate, abs=0.001)


def test_what_is_too_far_ahead_is_dropped_and_counted() -> None:
    conversing = Conversing()
    for _ in range(61):
        conversing.hear(delta(SECOND))
    assert conversing.metered.dropped_frames == pytest.approx(30, abs=1)  # 60 s wait, 0.4 s have been given
    conversing.hear(SPEECH)
    (cut,) = conversing.told("conversation.item.truncate")
    assert cut["audio_end_ms"] == 0


def test_breaking_in_takes_back_what_was_not_played_and_says_what_was() -> None:
    conversing = Conversing()
    conversing.hear(created())
    conversing.hear(delta(SECOND * 2))
    conversing.run_until(0.5)
    given = len(conversing.sink.told)
    assert given == pytest.approx(45, abs=2)  # half a second, and 0.4 s ahead
    conversing.hear(SPEECH)
    assert conversing.sink.told[given:] == [("clear",)]
    assert conversing.texts[1:] == [
        {"type": "response.cancel", "response_id": "resp_1"},
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 500},
    ]
    conversing.hear(delta(SECOND))  # was on its way
    conversing.hear(done())
    conversing.hear(SPEECH)
    conversing.run_until(5)
    assert len(conversing.sink.told) == given + 1
    assert len(conversing.texts) == 3
    conversing.hear(created("resp_2"))
    conversing.hear(delta(SECOND, "item_2", "resp_2"))
    conversing.run_until(10)
    assert len(conversing.sink.told) == given + 1 + 50


def test_an_answer_that_is_whole_and_still_being_played_is_only_cut() -> None:
    conversing = Conversing()
    for event in (created(), delta(SECOND), delta(SECOND, "item_2"), done()):
        conversing.hear(event)
    conversing.run_until(0.25)
    conversing.hear(SPEECH)
    assert [(text["item_id"], text["audio_end_ms"]) for text in conversing.texts[1:]] == [
        ("item_1", 250),
        ("item_2", 0),
    ]


def test_an_answer_that_has_not_begun_is_only_cancelled() -> None:
    conversing = Conversing()
    conversing.hear(created())
    conversing.hear(SPEECH)
    assert conversing.texts[1:] == [{"type": "response.cancel", "response_id": "resp_1"}]
    assert conversing.sink.told == [("clear",)]


def test_an_answer_that_was_heard_to_its_end_is_left_alone() -> None:
    conversing = Conversing()
    for event in (created(), delta(SECOND), done()):
        conversing.hear(event)
    conversing.run_until(3)
    told = len(conversing.sink.told)
    conversing.hear(SPEECH)
    assert len(conversing.sink.told) == told
    assert len(conversing.texts) == 1


def test_a_server_without_ids_can_be_broken_in_on() -> None:
    conversing = Conversing()
    conversing.hear('{"type": "response.created"}')
    conversing.hear(json.dumps({"type": "response.audio.delta", "delta": "AAAA" * 4_000}))
    conversing.hear(SPEECH)
    assert conversing.texts[1:] == [{"type": "response.cancel"}]
    conversing.hear(json.dumps({"type": "response.audio.delta", "delta": "AAAA" * 640}))
    assert conversing.sink.told[-1][0] == "audio"


def test_what_has_no_event_is_not_sent() -> None:
    conversing = Conversing()
    dialect = conversing.dialect
    dialect.mute(muted=True)
    dialect.json(b'{"type": "response.create"}')
    dialect.mark_played("never set")
    dialect.dtmf(5, 100)
    dialect.stop(END, STATISTICS)  # type: ignore[arg-type]  # not looked at
    assert len(conversing.texts) == 1


def test_events_that_nothing_is_done_for_may_be_many_and_not_endless() -> None:
    conversing = Conversing()
    for _ in range(int(EVENT_BURST)):
        conversing.hear('{"type": "response.output_audio_transcript.delta", "delta": "a"}')
    with pytest.raises(BackendMisbehaved, match="flood"):
        conversing.hear('{"type": "response.smell.delta"}')


def test_breaking_in_again_and_again_is_a_flood() -> None:
    conversing = Conversing()
    for number in range(250):
        conversing.hear(created(f"{number}"))
        conversing.hear(SPEECH)
    conversing.hear(created())
    with pytest.raises(BackendMisbehaved, match="flood"):
        conversing.hear(SPEECH)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"\0" * 960, BackendFault.BAD_AUDIO),
        ("[" * 100_000, BackendFault.BAD_TEXT),
        ('{"type": "error", "error": ' + "[" * 100_000, BackendFault.BAD_TEXT),
        ("not json\n\x1b[2J", BackendFault.BAD_TEXT),
        ('{"type": "\\ud800"}', BackendFault.BAD_TEXT),
        (json.dumps({"type": "response.output_audio.delta", "delta": "é==="}), BackendFault.BAD_AUDIO),
    ],
)
def test_what_is_at_fault(message: str | bytes, fault: BackendFault) -> None:
    conversing = Conversing()
    with pytest.raises(BackendMisbehaved) as caught:
        conversing.hear(message)
    assert caught.value.fault == fault
    assert "\n" not in str(caught.value)


def test_an_error_shows_no_message_which_may_hold_a_secret() -> None:
    error = {
        "type": "invalid\nrequest",
        "code": "x" * 5_000,
        "message": "key sk-secret",
        "event_id": "sottovoce_session",
    }
    with pytest.raises(BackendMisbehaved, match="failed: it refused the session: invalid") as caught:
        Conversing().hear(json.dumps({"type": "error", "error": error}))
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 300
