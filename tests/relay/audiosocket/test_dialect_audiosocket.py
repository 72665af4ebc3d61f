"""One call's messages both ways, without a socket."""

import uuid
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay import AudioSocketOptions, BackendMisbehaved, RouteConfig, build_route, g711
from sottovoce.relay.audiosocket import codecs_of
from sottovoce.wire import FRAME_MILLISECONDS, Codec
from tests.relay.audiosocket.socket import Speaking, audio, sound_of, starting
from tests.relay.calls import END, START, STATISTICS

ALL = AudioSocketOptions(rates=(8_000, 16_000, 24_000, 48_000))
KINDS = {8_000: 0x10, 16_000: 0x12, 24_000: 0x13, 48_000: 0x16}
LINEAR = bytes(range(256)) * 200
TO_LINEAR = {Codec.PCMU_8K: g711.mulaw_to_pcm16, Codec.PCMA_8K: g711.alaw_to_pcm16}
FROM_LINEAR = {Codec.PCMU_8K: g711.pcm16_to_mulaw, Codec.PCMA_8K: g711.pcm16_to_alaw}


def stop(speaking: Speaking) -> None:
    speaking.put(speaking.dialect.stop(END, STATISTICS))  # type: ignore[arg-type]  # not looked at


def test_the_call_is_told_by_a_uuid_of_its_session() -> None:
    (told,) = Speaking().written()
    assert told == {"type": 1, "payload": "000102030405860788090a0b0c0d0e0f"}


@given(st.binary(min_size=16, max_size=16))
def test_the_uuid_is_one_for_those_who_look(session_id: bytes) -> None:
    (told,) = Speaking(msgspec.structs.replace(starting(), session_id=session_id)).written()
    read = uuid.UUID(told["payload"])
    assert (read.version, read.variant) == (8, uuid.RFC_4122)
    differing = int.from_bytes(read.bytes) ^ int.from_bytes(session_id)
    assert differing & ~(0xF << 76 | 3 << 62) == 0


@given(
    st.sampled_from(sorted(codecs_of(ALL))),
    st.sampled_from(FRAME_MILLISECONDS),
    st.lists(st.one_of(st.just(0), st.just(1), st.integers(0, 480)), max_size=12),
)
def test_frames_in_are_chunks_of_20_ms_out(codec: Codec, frame_ms: int, lengths: list[int]) -> None:
    """0: silence; 1: a whole frame; else so many samples, as the last frame of a recording has."""
    speaking = Speaking(starting(codec, frame_ms))
    at, said = 0, b""
    for length in lengths:
        size = codec.frame_bytes(frame_ms) if length == 1 else length * codec.bytes_per_sample
        frame = LINEAR[at : at + size]
        at += size
        speaking.say(frame)
        said += TO_LINEAR.get(codec, bytes)(frame) or bytes(2 * codec.sample_rate * frame_ms // 1000)
    stop(speaking)
    chunks = speaking.written()[1:]
    chunk_bytes = 2 * codec.sample_rate // 50
    assert all(message["type"] == KINDS[codec.sample_rate] for message in chunks)
    assert all(len(message["payload"]) == 2 * chunk_bytes for message in chunks)
    heard = sound_of(chunks)
    assert heard[: len(said)] == said
    assert not any(heard[len(said) :])
    assert len(heard) - len(said) < chunk_bytes


def test_half_a_sample_is_left_out() -> None:
    speaking = Speaking()
    speaking.say(bytes(321), lost_before=5)
    assert len(sound_of(speaking.written())) == 320


@given(
    st.sampled_from(sorted(codecs_of(ALL))),
    st.sampled_from(FRAME_MILLISECONDS),
    st.lists(st.integers(0, 4000), max_size=8),
)
def test_audio_of_any_length_comes_out_in_frames_of_the_call(codec: Codec, frame_ms: int, lengths: list[int]) -> None:
    speaking = Speaking(starting(codec, frame_ms))
    kind = KINDS[codec.sample_rate]
    said = b"".join(LINEAR[2 * at : 2 * (at + length)] for at, length in pairwise([0, *lengths]) if length > 0)
    for at, length in pairwise([0, *lengths]):
        speaking.hear(audio(LINEAR[2 * at : 2 * (at + length)], kind))
    speaking.run_until(60.0)
    assert speaking.given == FROM_LINEAR.get(codec, bytes)(said)
    assert all(len(told[1]) <= codec.frame_bytes(frame_ms) for told in speaking.sink.told)  # type: ignore[arg-type]


def test_each_direction_has_its_own_codec() -> None:
    speaking = Speaking(starting(Codec.PCMU_8K, receive_codec=Codec.PCM16_16K))
    speaking.say(b"\xff" * 160)
    speaking.hear(audio(bytes(640), 0x12))
    assert sound_of(speaking.written()) == bytes(320)
    assert speaking.given == bytes(640)


def test_a_minute_too_much_is_dropped_and_counted() -> None:
    speaking = Speaking()
    for _ in range(61):
        speaking.hear(audio(bytes(16_000)))
    assert speaking.metered.dropped_frames == pytest.approx(30, abs=1)  # 60 s wait, 0.4 s have been given


def test_what_has_no_message_is_not_sent() -> None:
    speaking = Speaking()
    speaking.written()
    speaking.dialect.mute(muted=True)
    speaking.dialect.json(b"{}")
    speaking.dialect.mark_played("never set")
    assert speaking.written() == []


def test_a_flood_of_messages_that_mean_nothing() -> None:
    speaking = Speaking()
    for _ in range(250):
        speaking.hear(b"\x10\0\0")
    with pytest.raises(BackendMisbehaved, match="flood"):
        speaking.hear(b"\x01\0\1x")


def test_keys_of_a_server_reach_the_client() -> None:
    speaking = Speaking()
    speaking.hear(b"".join(bytes([3, 0, 1, key]) for key in b"0123456789*#ABCDabcd"))
    assert speaking.sink.told == [("dtmf", event, 100) for event in (*range(16), *range(12, 16))]


def test_routes_offer_what_the_server_understands() -> None:
    narrow = build_route("pbx", RouteConfig(adapter="audiosocket", url="tcp://127.0.0.1:9092"))
    assert narrow.codecs == {Codec.PCMU_8K, Codec.PCMA_8K, Codec.PCM16_8K}
    assert codecs_of(AudioSocketOptions(rates=(16_000,))) == {Codec.PCM16_16K}
    assert START.send_codec in codecs_of(ALL)
    assert not {Codec.NONE, Codec.OPUS_48K_MONO, Codec.OPUS_48K_STEREO} & codecs_of(ALL)


def test_over_tls_or_by_leave_over_a_network() -> None:
    secure = build_route("pbx", RouteConfig(adapter="audiosocket", url="tls://pbx.example.com:9093"))
    assert not secure.plaintext_network
    plain = RouteConfig(adapter="audiosocket", url="tcp://192.0.2.1:9092", allow_plaintext_network=True)
    route = build_route("pbx", plain)
    assert route.plaintext_network
    (warning,) = route.warnings
    assert warning.endswith("audio goes unencrypted to 192.0.2.1:9092; use tls:// instead")


@pytest.mark.parametrize("rates", [(), (8_000, 8_000), (44_100,)])
def test_rates_that_are_refused(rates: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rates: "):
        AudioSocketOptions(rates=rates)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ws://127.0.0.1:9092/", "write tcp://"),
        ("tcp://203.0.113.1:9092", "write a tls:// url, or allow_plaintext_network"),
        (None, "audiosocket needs a backend; write url = .tcp://"),
    ],
)
def test_urls_that_are_refused(url: str | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RouteConfig(adapter="audiosocket", url=url)
