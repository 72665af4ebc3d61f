"""A call that goes well, and what both sides may say in it: bytes in, items out."""

import pytest

from sottovoce.client.inbox import MAX_AUDIO_FRAMES, MAX_OTHER_ITEMS
from sottovoce.client.items import Audio, Clear, Dtmf, Ended, Json, Mark
from sottovoce.primitives import ApiMisuse
from sottovoce.session import Identity, ServerConfig, events
from sottovoce.transport import PeerClosed
from sottovoce.wire import Code, Codec, frames
from tests.client.servers import FRAME, PureServer, Talk, settings
from tests.session.dialogue import Credentials


@pytest.mark.protocol("P1.1")
def test_the_request_names_the_route_and_offers_the_subprotocol() -> None:
    request = Talk().run().server.request
    assert request is not None
    assert request.target == b"/v1/voice/echo"
    assert request.authority == b"localhost:8443"
    assert request.subprotocols == ("sottovoce.v1",)
    assert request.origin is None
    assert request.header("sec-websocket-extensions") == ()


def test_a_call_opens_and_says_what_was_agreed() -> None:
    talk = Talk()
    assert not talk.machine.is_open
    assert talk.machine.statistics.session_id is None
    talk.now = 2.0
    machine = talk.run().machine
    assert machine.is_open
    assert machine.failure is None
    assert machine.items() == []
    statistics = machine.statistics
    assert statistics.tls_group == "X25519MLKEM768"
    assert statistics.suite == "X25519MLKEM768_AES256GCM"
    assert statistics.server_signatures == ("ECDSA_P384", "MLDSA65")
    assert (statistics.epochs, statistics.generations, statistics.reauthentications) == (1, 1, 0)
    assert (statistics.tls_ms, statistics.voice_ms) == (2000.0, 0.0)
    (established,) = (each for each in talk.server.events if isinstance(each, events.Established))
    assert statistics.session_id == established.session_id.hex()


def test_parameters_and_metadata_arrive() -> None:
    client = settings(
        codec=Codec.PCMU_8K, receive_codec=Codec.PCM16_8K, frame_ms=40, metadata={"caller": "a"}, token="token"
    )
    credentials = Credentials(Identity("alice"))
    talk = Talk(PureServer(config=ServerConfig(credential_kinds=(1,)), credentials=credentials), client).run()
    assert talk.machine.is_open
    (established,) = (each for each in talk.server.events if isinstance(each, events.Established))
    assert (established.send_codec, established.receive_codec) == (Codec.PCMU_8K, Codec.PCM16_8K)
    assert established.frame_milliseconds == 40
    assert established.metadata == b'{"caller":"a"}'
    assert credentials.asked == [(1, b"token", b"localhost:8443", b"/v1/voice/echo")]


def test_audio_goes_both_ways_with_what_belongs_to_it() -> None:
    talk = Talk().run()
    machine, server = talk.machine, talk.server
    assert machine.may_send(0.0)
    assert machine.send_audio(FRAME, 0.0)
    assert machine.send_audio(b"", 0.0, talk_spurt=True, end_of_turn=True, timestamp=2**32 - 1)
    assert machine.has_output
    server.say(b"one")
    server.say(b"two", flags=0x20)
    server.say(b"three", flags=0x40, timestamp=7)
    talk.run()
    assert not machine.has_output
    assert server.audio == [b"\0" + FRAME, b"\x70\xff\xff\xff\xff"]
    assert machine.items() == [
        Audio(b"one"),
        Audio(b"two", talk_spurt=True),
        Audio(b"three", end_of_turn=True, timestamp=7),
    ]
    assert (machine.statistics.frames_sent, machine.statistics.frames_received) == (2, 3)


@pytest.mark.protocol("P1.4")
def test_a_frame_of_audio_that_comes_alone_is_given_at_once_and_all_else_is_to_be_taken() -> None:
    talk = Talk()
    while not talk.machine.is_open:  # also what is no audio at all
        talk.server.receive(talk.machine.to_send(), 0.0)
        assert talk.machine.receive_audio(talk.server.to_send(), 0.0) is None
    talk.run().machine.items()
    machine, server = talk.machine, talk.server
    server.say(FRAME)
    assert machine.receive_audio(server.to_send(), 0.0) == FRAME
    assert machine.take() is None
    server.say(FRAME, flags=frames.FLAG_TALK_SPURT)
    assert machine.receive_audio(server.to_send(), 0.0) is None
    server.say(FRAME)
    assert machine.receive_audio(server.to_send(), 0.0) is None, "it would overtake the one that waits"
    assert machine.items() == [Audio(FRAME, talk_spurt=True), Audio(FRAME)]
    server.say(FRAME)
    server.say(FRAME)
    assert machine.receive_audio(server.to_send(), 0.0) is None, "two at a time"
    assert len(machine.items()) == 2
    assert server.session is not None
    server.session.send_mark("here", 0.0)
    server.settle()
    assert machine.receive_audio(server.to_send(), 0.0) is None
    assert machine.items() == [Mark("here")]
    assert machine.statistics.frames_received == 5


def test_a_server_may_fragment_its_messages() -> None:
    talk = Talk().run()
    server = talk.server
    assert server.session is not None
    record = server.session.seal_audio(b"audio", 0.0)
    assert record is not None
    server.websocket.to_send()
    core = server.websocket._core
    core.send_binary(record[:5], fin=False)
    core.send_continuation(record[5:], fin=True)
    server.websocket._gather()
    assert talk.run().machine.items() == [Audio(b"audio")]


def test_items_come_in_the_order_in_which_they_were_said() -> None:
    talk = Talk().run()
    session = talk.server.session
    assert session is not None
    assert session.send_mark("first", 0.0)
    talk.server.settle()
    talk.server.say(b"audio")
    assert session.send_clear(0.0)
    assert session.send_json(b'{"a":[1,null]}', 0.0)
    assert session.send_dtmf(11, 250, 0.0)
    talk.server.settle()
    talk.run()
    assert talk.machine.take() == Mark("first")
    assert talk.machine.items() == [Audio(b"audio"), Clear(), Json({"a": [1, None]}), Dtmf(11, 250)]
    assert talk.machine.take() is None


def test_what_the_user_says_arrives() -> None:
    talk = Talk().run()
    machine, session = talk.machine, talk.server.session
    assert session is not None
    session.send_mark("played", 0.0)
    talk.server.settle()
    talk.run()
    assert machine.send_dtmf(3, 160, 0.0)
    assert machine.send_json({"hello": "you"}, 0.0)
    assert machine.send_mute(0.0, muted=True)
    assert machine.send_mark("played", 0.0)
    talk.run()
    said = [
        event for event in talk.server.events if isinstance(event, (events.Dtmf, events.Json, events.Mute, events.Mark))
    ]
    assert said == [
        events.Dtmf(3, 160),
        events.Json(b'{"hello":"you"}'),
        events.Mute(muted=True),
        events.Mark("played"),
    ]


def test_what_cannot_be_said_is_the_callers_mistake() -> None:
    talk = Talk().run()
    machine = talk.machine
    with pytest.raises(ApiMisuse, match="640 bytes, not 642"):
        machine.send_audio(FRAME + b"\0\0", 0.0)
    with pytest.raises(ApiMisuse, match="timestamp"):
        machine.send_audio(FRAME, 0.0, timestamp=2**32)
    with pytest.raises(ApiMisuse, match="dtmf"):
        machine.send_dtmf(16, 100, 0.0)
    with pytest.raises(ApiMisuse, match="json"):
        machine.send_json({"odd": object()}, 0.0)
    with pytest.raises(ApiMisuse, match="json"):
        machine.send_json({"long": "x" * 4001}, 0.0)
    with pytest.raises(ApiMisuse, match="mark"):
        machine.send_mark("x" * 65, 0.0)
    with pytest.raises(ApiMisuse, match="1000"):
        machine.close(0.0, 5)
    assert machine.send_audio(FRAME, 0.0)
    talk.run()
    assert talk.server.audio == [b"\0" + FRAME]


def test_a_codec_of_varying_frames_takes_any() -> None:
    talk = Talk(client=settings(codec=Codec.OPUS_48K_MONO)).run()
    assert talk.machine.send_audio(bytes(1000), 0.0)
    with pytest.raises(ApiMisuse, match="too large"):
        talk.machine.send_audio(bytes(9000), 0.0)


def test_nothing_can_be_said_before_the_call_is_open() -> None:
    machine = Talk().machine
    assert not machine.may_send(0.0)
    assert not machine.send_audio(FRAME, 0.0)
    assert not machine.send_dtmf(1, 100, 0.0)
    assert not machine.send_mute(0.0, muted=True)


def test_too_many_controls_have_to_wait() -> None:
    talk = Talk().run()
    sent = 0
    while talk.machine.send_dtmf(1, 1, 0.0):
        sent += 1
    assert 0 < sent < 1000
    assert talk.machine.may_send(0.0)
    assert talk.machine.send_dtmf(1, 1, 1.0)
    assert talk.run().machine.is_open


def test_keys_turn_within_an_epoch_and_from_one_to_the_next() -> None:
    server = PureServer(config=ServerConfig(messages_per_key=16, epoch_seconds=100, reauthenticate_every=2))
    talk = Talk(server, settings(keepalive=float("inf"))).run()
    for _ in range(40):
        talk.machine.send_audio(FRAME, 0.0)
    talk.run()
    assert (talk.machine.statistics.epochs, talk.machine.statistics.generations) == (1, 3)
    for epoch in (2, 3):
        due = talk.machine.next_deadline()
        assert due is not None
        talk.at(due)
        assert talk.machine.statistics.epochs == epoch
    assert talk.machine.statistics.generations == 5
    assert talk.machine.statistics.reauthentications == 1
    assert len(talk.server.audio) == 40


@pytest.mark.protocol("P7.24")
def test_under_keys_that_are_too_old_nothing_is_said_until_they_are_renewed() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=100))).run()
    talk.now = 100.0  # the machine slept past the moment of its root step
    assert not talk.machine.may_send(100.0)
    assert not talk.machine.send_audio(FRAME, 100.0)
    assert talk.machine.has_output, "the attempt has begun the root step"
    talk.run()
    assert talk.machine.send_audio(FRAME, 100.0)
    assert talk.run().server.audio == [b"\0" + FRAME]


def test_a_machine_that_slept_for_an_hour_ends_the_call() -> None:
    talk = Talk().run()
    assert not talk.machine.send_audio(FRAME, 3600.0)
    assert talk.machine.ended is not None
    assert talk.machine.ended.code == Code.EXPIRED


def test_audio_that_nobody_reads_gives_way_the_rest_does_not() -> None:
    talk = Talk().run()
    session = talk.server.session
    assert session is not None
    session.send_mark("kept", 0.0)
    talk.server.settle()
    for number in range(MAX_AUDIO_FRAMES + 10):
        talk.server.say(number.to_bytes(2))
    items = talk.run().machine.items()
    assert items[:2] == [Mark("kept"), Audio((10).to_bytes(2), lost_before=10)]
    assert len(items) == 1 + MAX_AUDIO_FRAMES
    assert talk.machine.statistics.frames_received == MAX_AUDIO_FRAMES + 10
    assert talk.machine.statistics.frames_dropped == 10


def test_a_user_who_reads_nothing_at_all_is_hung_up() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=3600))).run()
    session = talk.server.session
    assert session is not None
    sent = 0
    while talk.machine.is_open:
        talk.now = talk.server.now = talk.now + 1
        while session.send_clear(talk.now):
            sent += 1
        talk.server.settle()
        talk.run()
    assert sent >= MAX_OTHER_ITEMS
    assert talk.machine.ended == Ended(Code.INTERNAL, "nobody reads what the server sends", truncated=False, local=True)
    assert talk.server.ended is not None
    assert talk.server.ended.code == Code.INTERNAL


@pytest.mark.protocol("P7.46", "P7.47")
def test_hanging_up_says_so_in_the_call_then_in_the_carriage_then_in_tls() -> None:
    talk = Talk().run()
    machine, server = talk.machine, talk.server
    machine.close(1.0)
    assert machine.ended == Ended(1000, "closed by this side", truncated=False, local=True)
    assert machine.failure is None
    assert not machine.is_over, "the server's part of the closing is waited for"
    assert machine.next_deadline() == 6.0
    talk.run()
    assert server.ended is not None
    assert (server.ended.code, server.ended.local, server.ended.truncated) == (1000, False, False)
    assert server.carriage == [PeerClosed(1000, "")]
    assert server.tls.closed_by_peer
    assert machine.is_over
    assert machine.next_deadline() is None
    assert machine.items() == [machine.ended]
    machine.close(2.0)
    machine.on_deadline(100.0)
    machine.receive(b"more", 100.0)
    machine.receive_eof(100.0)
    assert machine.items() == []
    assert not machine.send_audio(FRAME, 2.0)
    assert machine.statistics.epochs == 1


@pytest.mark.protocol("P7.47")
@pytest.mark.parametrize("code", [1001, 4460, 4777])
def test_a_code_of_the_users_own_choice(code: int) -> None:
    talk = Talk().run()
    talk.machine.close(0.0, code)
    talk.run()
    assert talk.server.ended is not None
    assert talk.server.ended.code == code
    assert talk.server.carriage == [PeerClosed(code, "")]


@pytest.mark.protocol("P7.47")
def test_a_server_that_does_not_answer_the_closing_is_waited_for_no_longer_than_five_seconds() -> None:
    talk = Talk().run()
    machine = talk.machine
    talk.server.say(b"still speaking")
    still = talk.server.to_send()
    machine.close(10.0)
    assert machine.to_send()
    machine.receive(still, 12.0)
    machine.on_deadline(14.9)
    assert not machine.is_over
    assert machine.take() == machine.ended, "what came behind the end was read and discarded"
    machine.on_deadline(15.0)
    assert machine.is_over
    assert machine.to_send(), "close_notify"


def test_dropping_waits_for_nothing_but_says_all() -> None:
    talk = Talk().run()
    talk.machine.drop(0.0)
    assert talk.machine.is_over
    talk.run()
    assert talk.server.carriage == [PeerClosed(1000, "")]
    assert talk.server.tls.closed_by_peer
