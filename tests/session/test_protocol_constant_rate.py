"""Protocol §9, padding class 2: one record of one size in each slot, whatever is said."""

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sottovoce.primitives import ApiMisuse
from sottovoce.session import Dtmf, Json, Mark, Mute, Pong, ServerConfig
from sottovoce.session.session import Session
from sottovoce.wire import SLOT_CATCH_UP, SLOT_QUEUE_FRAMES, Code, Codec
from tests.session.carriers import WEBTRANSPORT
from tests.session.dialogue import Pair, client_config, ended, make_client, make_server
from tests.session.foreign_bytes import u
from tests.session.meeting import AtClient, AtServer
from tests.session.meeting import code_of as code_at
from tests.session.test_protocol_padding import plaintext_bytes

SECONDS = 0.02
SIZES = {Codec.OPUS_48K_MONO: 408, Codec.OPUS_48K_STEREO: 408, Codec.PCM16_16K: 648, Codec.PCMU_8K: 168}


def constant(codec: Codec = Codec.PCM16_16K, *, milliseconds: int = 20, carriage: Any = None, **config: Any) -> Pair:
    """A pair under class 2; both directions have the same codec."""
    carriages = {} if carriage is None else {"carriage": carriage}
    client = client_config(send_codec=codec, receive_codec=codec, frame_milliseconds=milliseconds)
    return Pair(make_client(client, **carriages), make_server(ServerConfig(padding=2, **config), **carriages)).run()


def drive(pair: Pair, session: Session, now: float) -> list[bytes]:
    """What a shell does at a deadline: what is due, again while something is, and write."""
    records: list[bytes] = []
    pair.now = now
    while (due := session.next_deadline()) is not None and due <= now:
        events = session.on_deadline(now)
        if session is pair.server:
            pair._take_server(events)
        else:
            pair.client_events += events
        records += session.to_send()
    return records


def hand_over(pair: Pair, session: Session, records: list[bytes]) -> list[bytes]:
    """Give records to the other end; gives the audio in them."""
    other = pair.server if session is pair.client else pair.client
    heard: list[bytes] = []
    for record in records:
        audio = other.open_audio(record, pair.now)
        if audio is not None:
            heard.append(audio)
        events = other.events()
        if other is pair.server:
            pair._take_server(events)
        else:
            pair.client_events += events
    return heard


@pytest.mark.protocol("P9.30", "P11.38")
@pytest.mark.parametrize("codec", SIZES)
def test_silence_speech_and_keys_look_alike(codec: Codec) -> None:
    """From the handshake on, both sides: one record a slot, all of one size."""
    pair = constant(codec)
    assert pair.client.slot_milliseconds == pair.server.slot_milliseconds == 20
    chance = random.Random(3)  # noqa: S311  what is said
    for session in (pair.client, pair.server):
        frames: list[int] = []
        for number in range(200):
            now = number * SECONDS
            spoken = chance.random()
            if spoken < 0.5:
                assert session.send_audio(b"\1" * chance.randint(0, SIZES[codec] - 8), now)
            elif spoken < 0.6:
                session.send_dtmf(1, 100, now)
            records = drive(pair, session, now + 0.001)
            assert len(records) == 1
            frames.append(plaintext_bytes(records[0]))
            hand_over(pair, session, records)
        assert set(frames) == {SIZES[codec]}
        assert session.oversize_frames == 0


@pytest.mark.protocol("P9.30", "P9.7")
def test_what_is_said_arrives_in_its_order_each_in_a_slot() -> None:
    pair = constant()
    server = pair.server
    first = drive(pair, server, 0.0)
    assert len(first) == 1, "the first slot is the handshake's end"
    assert hand_over(pair, server, first) == []
    assert server.send_audio(b"before", 0.01, flags=0x20)
    assert not server.send_audio(b"too many", 0.01), "one frame of audio waits"
    assert server.send_mark("m", 0.01)
    assert server.send_dtmf(5, 80, 0.01)
    assert server.send_clear(0.01)
    assert server.send_ping(b"12345678", 0.01)
    assert server.to_send() == [], "all of these wait"
    heard: list[bytes] = []
    for number in range(1, 8):
        records = drive(pair, server, number * SECONDS)
        assert [plaintext_bytes(record) for record in records] == [648]
        heard += hand_over(pair, server, records)
    assert heard == [b"\x20before"]
    kinds = [type(event).__name__ for event in pair.client_events]
    assert kinds[-3:] == ["Mark", "Dtmf", "Clear"]
    assert server.send_audio(b"", 0.2), "silence of the application's own"
    assert hand_over(pair, server, drive(pair, server, 0.2)) == [b"\0"]
    assert Mark("m") in pair.client_events


@pytest.mark.protocol("P9.30")
def test_a_muted_client_goes_on_and_a_pong_takes_a_slot() -> None:
    pair = constant()
    client, server = pair.client, pair.server
    assert client.send_mute(0.0, muted=True)
    assert server.send_ping(b"12345678", 0.0)
    for number in range(50):
        for session in (server, client):
            records = drive(pair, session, number * SECONDS)
            assert [plaintext_bytes(record) for record in records] == [648]
            hand_over(pair, session, records)
    assert Mute(muted=True) in pair.server_events
    assert Pong(b"12345678") in pair.server_events


@pytest.mark.protocol("P9.30", "P7.18", "P7.20")
def test_types_2_and_6_to_8_and_a_steps_ping_leave_at_once() -> None:
    pair = constant(epoch_seconds=10)
    client = pair.client
    hand_over(pair, client, drive(pair, client, 0.0))
    assert client.send_json(b"{}", 0.001)
    (record,) = client.to_send()
    assert plaintext_bytes(record) == 88
    hand_over(pair, client, [record])
    assert Json(b"{}") in pair.server_events
    began = client.next_deadline()
    assert began == pytest.approx(SECONDS)
    due = client._rekey_at
    assert due is not None
    init, *slots = drive(pair, client, due)
    assert plaintext_bytes(init) > 1_000
    assert {plaintext_bytes(record) for record in slots} == {648}
    hand_over(pair, client, [init, *slots])
    for record in pair.server.to_send():
        pair.to_client(record)
    switch, ping = client.to_send()
    assert (plaintext_bytes(switch), plaintext_bytes(ping)) == (88, 648)
    hand_over(pair, client, [switch, ping])
    switch, ping = pair.server.to_send()
    assert (plaintext_bytes(switch), plaintext_bytes(ping)) == (88, 648)
    assert client.epoch == pair.server.epoch == 2
    pair = constant()
    pair.client.close(1000, 0.0)
    (close,) = pair.client.to_send()
    assert plaintext_bytes(close) == 88
    assert pair.client.next_deadline() is None


@pytest.mark.protocol("P9.30")
def test_a_frame_that_does_not_fit_is_dropped_and_never_sent_larger() -> None:
    pair = constant(Codec.OPUS_48K_MONO)
    client = pair.client
    assert client.send_audio(b"x" * 407, 0.0)
    assert client.oversize_frames == 1
    assert client.send_audio(b"x" * 406, 0.0)
    assert client.send_cover(500, 0.0)
    assert client.oversize_frames == 2
    records = drive(pair, client, 0.0) + drive(pair, client, SECONDS)
    assert [plaintext_bytes(record) for record in records] == [408, 408]
    assert hand_over(pair, client, records) == [b"\0" + b"x" * 406]


@pytest.mark.protocol("P9.30")
def test_seal_audio_has_no_slot() -> None:
    pair = constant()
    for session in (pair.client, pair.server):
        with pytest.raises(ApiMisuse):
            session.seal_audio(b"x", 0.0)
    with pytest.raises(ApiMisuse):
        constant(carriage=WEBTRANSPORT).client.seal_datagram(b"x", 0.0)
    ordered = AtServer(padding=1).server
    assert ordered.slot_milliseconds == ordered.frames_waiting == 0


@pytest.mark.protocol("P9.30")
def test_more_than_can_wait_is_not_now() -> None:
    pair = constant()
    server = pair.server
    for name in "abcdefghij" * 4:
        assert server.send_mark(name, 0.0)
    while server.send_cover(1, 0.0):
        pass
    assert not server.send_audio(b"x", 0.0)
    assert server.frames_waiting == SLOT_QUEUE_FRAMES
    records: list[bytes] = []
    for number in range(SLOT_QUEUE_FRAMES):
        records += drive(pair, server, number * SECONDS)
        assert server.send_audio(b"x", number * SECONDS) is (number == 0)
    hand_over(pair, server, records)
    assert sum(isinstance(event, Mark) for event in pair.client_events) == 40
    assert pair.client.is_open


@pytest.mark.protocol("P9.30", "P9.10")
def test_a_pong_that_finds_no_room_is_not_sent() -> None:
    meeting = AtServer(padding=2)
    while meeting.server.send_cover(1, 0.0):
        pass
    meeting.say(4, bytes(8))
    assert meeting.server.to_send() == []
    assert code_at(meeting) is None


@pytest.mark.protocol("P9.30", "P11.39", "P7.21")
def test_over_root_steps_each_slot_has_its_one_record_on_both_sides() -> None:
    """Half of the time somebody speaks; what an observer sees beside the slots are the steps."""
    pair = constant(Codec.OPUS_48K_MONO, epoch_seconds=4)
    ends = (pair.client, pair.server)
    beside: list[int] = []
    not_now = 0
    for number in range(900):
        now = number * SECONDS
        if number % 100 < 50:
            not_now += sum(not session.send_audio(b"\1" * (number % 400), now) for session in ends)
        slots: dict[Session, int] = dict.fromkeys(ends, 0)
        carried = True
        while carried:
            carried = False
            for session in ends:
                records = drive(pair, session, now) + session.to_send()
                hand_over(pair, session, records)
                sizes = [plaintext_bytes(record) for record in records]
                slots[session] += sizes.count(408)
                beside += [size for size in sizes if size != 408]
                carried |= bool(records)
        assert all(count == 1 or (count == 2 and beside) for count in slots.values())
    assert pair.client.epoch == pair.server.epoch == 6
    assert pair.client.is_open
    assert pair.server.is_open
    assert len(beside) == 5 * 4, "RekeyInit, RekeyResponse and two switches a step"
    assert not_now <= 5 * 2, "the pong of a step's ping takes a slot, and then a frame of audio has none"


# The clock


@pytest.mark.protocol("P9.30")
@given(late=st.lists(st.sampled_from([0.0, 0.001, 0.015, 0.021, 0.05, 0.11, 5.01, 29.01]), max_size=60))
@settings(deadline=None, max_examples=40)
def test_one_record_a_slot_and_after_a_long_sleep_a_few_and_no_more(late: list[float]) -> None:
    """A sender never sends more than its slots, and in time exactly one for each."""
    meeting = AtServer(padding=2, epoch_seconds=3600)
    session, now, sent = meeting.server, 0.0, 0
    for pause in late:
        due = session.next_deadline()
        assert due is not None
        now = max(now, due) + pause
        at_once = 0
        while (due := session.next_deadline()) is not None and due <= now:
            session.on_deadline(now)
            at_once += len(session.to_send())
        assert at_once == min(1 + int(pause / SECONDS), SLOT_CATCH_UP)
        sent += at_once
        assert sent <= now / SECONDS + 1 + 1e-6
        assert due is not None
        assert now < due <= now + SECONDS + 1e-6


@pytest.mark.protocol("P9.30", "P7.24")
def test_past_the_epochs_age_the_slots_stay_empty_and_then_go_on() -> None:
    meeting = AtClient(server={"t2": u(2, 2), "t4": b"\x02"})
    client = meeting.client
    while meeting.now < 3.0:
        due = client.next_deadline()
        assert due is not None
        meeting.at(due)
        if client.to_send():
            assert meeting.now < 2.0
    assert client.is_open
    assert not client.send_audio(b"x", meeting.now)


# Where there are two carriers, and where there is no audio


@pytest.mark.protocol("P9.30", "P1.13", "P1.14")
def test_on_two_carriers_each_slot_has_one_record_on_the_carrier_it_needs() -> None:
    pair = constant(carriage=WEBTRANSPORT)
    server, client = pair.server, pair.client
    assert server.send_audio(b"voice", 0.0)
    assert server.send_dtmf(1, 1, 0.0)
    assert server.send_ping(bytes(8), 0.0)
    expected = [(0, 1), (1, 0), (0, 1), (0, 1), (0, 1)]
    for number, counts in enumerate(expected):
        records = drive(pair, server, number * SECONDS)
        datagrams = server.datagrams_to_send()
        assert (len(records), len(datagrams)) == counts
        assert {plaintext_bytes(record) for record in records + datagrams} == {648}
        hand_over(pair, server, records)
        heard = [client.open_datagram(datagram, pair.now) for datagram in datagrams]
        assert heard == ([b"\0voice"] if number == 0 else [None] * len(datagrams))
    assert Dtmf(1, 1) in pair.client_events
    assert client.is_open


@pytest.mark.protocol("P9.30", "P1.15")
def test_slots_that_fit_no_datagram_are_on_the_control_stream() -> None:
    pair = constant(Codec.PCM16_48K, carriage=WEBTRANSPORT)
    assert pair.client.send_audio(b"x" * 1920, 0.0)
    records = drive(pair, pair.client, SECONDS)
    assert [plaintext_bytes(record) for record in records] == [1928, 1928]
    assert pair.client.datagrams_to_send() == []
    assert hand_over(pair, pair.client, records) == [b"\0" + b"x" * 1920]


@pytest.mark.protocol("P9.30", "P9.24", "P3.48")
def test_a_data_session_has_no_constant_rate() -> None:
    """Codec 0 has no frame duration: either side refuses it under class 2."""
    data = client_config(send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0)
    codecs = (Codec.NONE, Codec.PCM16_16K)
    pair = Pair(make_client(data), make_server(ServerConfig(padding=2, codecs=codecs))).run()
    assert ended(pair.client_events).code == Code.POLICY
    meeting = AtServer(established=False, padding=2, codecs=codecs, client={"codecs": (0, 0, 0)})
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code_at(meeting) == Code.POLICY


@pytest.mark.protocol("P3.48")
@pytest.mark.parametrize("padding", [3, 0x7F, 0xFF])
def test_a_padding_class_that_does_not_exist(padding: int) -> None:
    meeting = AtClient(server={"t4": bytes([padding])}, established=False)
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_at(meeting) == Code.POLICY
