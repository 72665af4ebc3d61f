"""Protocol §7, §8, §9: the largest and the least that is taken, what counts as an echo, and what costs a token."""

import pytest

from sottovoce.primitives import ApiMisuse
from sottovoce.session import Dtmf, ServerConfig
from sottovoce.wire import (
    CONTROL_FRAMES_BURST,
    MAX_COVER_BYTES,
    MAX_RECORD_BYTES,
    MAX_SMALL_RECORD_BYTES,
    Code,
    Codec,
    frames,
)
from tests.session.carriers import ClientOverTwo, ServerOverTwo, sealed, two_carriers
from tests.session.dialogue import Pair, Serving, client_config, make_client, make_server, talking
from tests.session.foreign_bytes import JSON, MARK, u
from tests.session.keys import DAY, WALL, anchor_keys, issue, other_serving_keys
from tests.session.meeting import AtClient, AtServer, code_of
from tests.session.test_protocol_padding import plaintext_bytes

ROLES = [AtServer, AtClient]
LONGEST = MAX_SMALL_RECORD_BYTES - 24 - 2
"""Codec bytes of the longest audio frame: beside header and tag there are flags and type."""


# Sizes and numbers, at their ends


@pytest.mark.protocol("P9.5", "P9.6", "P9.13")
@pytest.mark.parametrize("up", [True, False])
def test_the_least_and_the_most_that_a_field_holds_arrives(*, up: bool) -> None:
    pair = talking()
    sender, receiver = (pair.client, pair.server) if up else (pair.server, pair.client)
    for timestamp in (0, 2**32 - 1):
        record = sender.seal_audio(b"x", 0.0, timestamp=timestamp)
        assert record is not None
        assert receiver.open_audio(record, 0.0) == b"\x10" + u(timestamp, 4) + b"x"
    assert sender.send_dtmf(0, 0, 0.0)
    assert sender.send_dtmf(15, 65_535, 0.0)
    assert sender.send_cover(0, 0.0)
    assert sender.send_cover(MAX_COVER_BYTES, 0.0)
    pair.run()
    heard = pair.server_events if up else pair.client_events
    assert heard[-2:] == [Dtmf(0, 0), Dtmf(15, 65_535)]
    assert receiver.is_open


@pytest.mark.protocol("P2.19")
@pytest.mark.parametrize("padding", [0, 1])
def test_the_longest_audio_frame_and_one_byte_more(padding: int) -> None:
    """The same limit whichever way it is sent."""
    pair = talking(padding=padding)
    record = pair.client.seal_audio(b"x" * LONGEST, 0.0)
    assert record is not None
    assert pair.server.open_audio(record, 0.0) == b"\0" + b"x" * LONGEST
    assert pair.client.send_audio(b"y" * LONGEST, 0.0)
    (record,) = pair.client.to_send()
    assert len(record) <= MAX_SMALL_RECORD_BYTES
    assert pair.server.open_audio(record, 0.0) == b"\0" + b"y" * LONGEST
    for send in (pair.client.seal_audio, pair.client.send_audio):
        with pytest.raises(ApiMisuse):
            send(b"x" * (LONGEST + 1), 0.0)
    assert pair.client.to_send() == []


@pytest.mark.protocol("P2.18", "P7.41", "P7.44")
@pytest.mark.parametrize("role", [ServerOverTwo, ClientOverTwo])
def test_a_datagram_above_the_limit_of_all_records_is_dropped(role: type[ServerOverTwo] | type[ClientOverTwo]) -> None:
    """It has not even been tried: what it holds does not end the session, as that of the largest one does."""
    for size, code in ((MAX_RECORD_BYTES + 1, None), (MAX_RECORD_BYTES, Code.TOO_LARGE)):
        meeting = role()
        datagram = meeting.lossy_out.seal(bytes(size - 2 - 16 - 1) + b"\x01")
        assert len(datagram) == size
        assert meeting.throw(datagram) is None
        assert code_of(meeting) == code


@pytest.mark.protocol("P9.29", "P6.37")
def test_a_large_frame_is_padded_to_its_bucket_too() -> None:
    """An answer with a new certificate in it is larger than any record of audio."""
    serving = Serving()
    meeting = AtServer(serving=serving)
    serving.certificate = issue(anchor_keys(), other_serving_keys(), not_after=int(WALL) + 7 * DAY)
    meeting.keys = other_serving_keys()
    ((_, payload),) = meeting.answered()
    assert len(payload) > MAX_SMALL_RECORD_BYTES
    assert plaintext_bytes(meeting.raw[-1]) == frames.padded_bytes(len(payload) + 1) > len(payload) + 1


@pytest.mark.protocol("P9.30")
def test_under_class_2_each_direction_has_the_size_of_its_own_codec() -> None:
    config = client_config(send_codec=Codec.PCM16_16K, receive_codec=Codec.OPUS_48K_MONO)
    pair = Pair(make_client(config), make_server(ServerConfig(padding=2))).run()
    for session, size in ((pair.client, 648), (pair.server, 408)):
        session.on_deadline(0.0)
        assert [plaintext_bytes(record) for record in session.to_send()] == [size]


def test_the_generation_that_is_told_is_that_of_what_carries_the_audio() -> None:
    pair = talking(messages_per_key=16)
    pair.voice(up=17)
    assert (pair.client.generation, pair.server.generation) == (1, 0)
    over_two = two_carriers(messages_per_key=16)
    for _ in range(33):
        sealed(over_two.client, b"x", 0.0)
    assert over_two.client.generation == 2
    assert make_client().generation == 0


# Marks and tokens


def _flood(meeting: AtServer, frame_type: int, payload: bytes) -> None:
    """Spend what a client has, to the last token."""
    for _ in range(CONTROL_FRAMES_BURST):
        meeting.say(frame_type, payload)
    assert code_of(meeting) is None


@pytest.mark.protocol("P9.20", "P9.15")
def test_only_a_mark_answers_a_mark() -> None:
    """A server that waits for an echo takes no other frame for it."""
    meeting = AtServer()
    assert meeting.server.send_mark("m", 0.0)
    _flood(meeting, JSON, b"{}")
    meeting.say(MARK, b"m")
    assert code_of(meeting) is None, "the echo costs nothing, though there is no token left"
    meeting.say(JSON, b"{}")
    assert code_of(meeting) == Code.RATE_LIMITED


@pytest.mark.protocol("P9.20", "P9.15", "P7.24")
def test_a_mark_that_was_not_sent_waits_for_no_echo() -> None:
    meeting = AtServer(epoch_seconds=10)
    meeting.now = 10.0
    assert not meeting.server.send_mark("m", meeting.now)
    _flood(meeting, JSON, b"{}")
    meeting.say(MARK, b"m")
    assert code_of(meeting) == Code.RATE_LIMITED


@pytest.mark.protocol("P9.20", "P9.15", "P7.24")
def test_an_echo_that_could_not_be_sent_may_still_be() -> None:
    """Past the epoch's age it is not now; after the step it costs no token, as it would not have before."""
    pair = talking(epoch_seconds=100)
    assert pair.server.send_mark("m", 0.0)
    pair.run()
    assert not pair.client.send_mark("m", 100.0)
    pair.tick(100.0)
    while pair.client.send_json(b"{}", 100.0):
        pass
    assert pair.client.send_mark("m", 100.0)
    assert not pair.client.send_mark("m", 100.0), "there was one to answer"


@pytest.mark.protocol("P9.20", "P9.15")
def test_a_client_takes_only_a_mark_for_one_to_answer() -> None:
    pair = talking()
    for _ in range(3):
        assert pair.server.send_json(b"{}", 0.0)
    pair.run()
    while pair.client.send_json(b"{}", 0.0):
        pass
    assert not pair.client.send_mark("m", 0.0)


@pytest.mark.protocol("P9.20", "P9.30")
def test_a_frame_that_found_no_room_among_the_slots_has_cost_no_token() -> None:
    server = AtServer(padding=2).server
    while server.send_cover(1, 0.0):
        pass
    for _ in range(200):
        assert not server.send_mark("m", 0.0)
    server.on_deadline(0.0)
    assert server.send_mark("m", 0.0), "there is room for one now"
