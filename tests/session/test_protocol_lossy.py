"""Protocol §1, §5, §7: a session over two carriers, each side against a foreign peer or the other."""

import msgspec
import pytest

from sottovoce.primitives import ApiMisuse
from sottovoce.session import Data, Pong
from sottovoce.session.config import ServerConfig
from sottovoce.wire import LOSSY_FAILURES, Code, Codec
from tests.session.carriers import (
    WEBTRANSPORT,
    ClientOverTwo,
    ServerOverTwo,
    answered,
    new_datagrams,
    sealed,
    two_carriers,
)
from tests.session.dialogue import CARRIAGE, Pair, client_config, code_of, ended, flipped, make_client, make_server
from tests.session.foreign_bytes import (
    AUDIO,
    CLEAR,
    CLOSE,
    COVER,
    DATA,
    DTMF,
    HANDSHAKE,
    JSON,
    MARK,
    MUTE,
    PING,
    PONG,
    SWITCH,
    tlvs_of,
    u,
)
from tests.session.meeting import code_of as code_at

ROLES = [ServerOverTwo, ClientOverTwo]
Role = type[ServerOverTwo] | type[ClientOverTwo]


# Carriers


@pytest.mark.protocol("P5.11", "P5.10", "P1.13", "P1.14")
@pytest.mark.parametrize("role", ROLES)
def test_each_carrier_has_the_keys_of_the_text(role: Role) -> None:
    """Both directions, with a peer that has its keys from the reference."""
    meeting = role()
    assert meeting.throw_frame(AUDIO, b"\0by datagram") == b"\0by datagram"
    assert meeting.say(AUDIO, b"\0in order") != []
    datagram = meeting.ours.seal_datagram(b"out", meeting.now)
    assert datagram
    assert meeting.lossy_into.open(datagram).rstrip(b"\0") == b"\0out\x01"
    assert meeting.ours.send_json(b"{}", meeting.now)
    assert meeting.hear() == [(JSON, b"{}")]
    assert meeting.ours.datagrams_to_send() == []


@pytest.mark.protocol("P1.16", "P8.9")
@pytest.mark.parametrize("role", ROLES)
def test_a_record_of_the_other_carrier_does_not_open(role: Role) -> None:
    """The KIDs and counters are the same; the keys are not.  In order that is the end, in a datagram a failure."""
    meeting = role()
    assert meeting.throw(meeting.out.seal(b"\0x\x01")) is None
    lossy = meeting.ours._lossy
    assert lossy is not None
    assert lossy.failures == 1
    assert code_at(meeting) is None
    meeting.take(meeting.lossy_out.seal(b"\0x\x01"))
    assert code_at(meeting) == Code.DECRYPT_FAILED


@pytest.mark.protocol("P11.3", "P8.9")
def test_a_datagram_reflected() -> None:
    pair = two_carriers()
    datagram = sealed(pair.client, b"x", 0.0)
    assert pair.client.open_datagram(datagram, 0.0) is None
    assert pair.server.open_datagram(datagram, 0.0) == b"\0x"


@pytest.mark.protocol("P1.17")
def test_datagrams_before_the_end_of_the_handshake_are_dropped() -> None:
    """Without a word and without being counted, however many, at each stage of either side."""
    pair = Pair(make_client(carriage=WEBTRANSPORT), make_server(carriage=WEBTRANSPORT))
    other = sealed(two_carriers().client, b"x", 0.0)

    def throw_many() -> None:
        for session in (pair.client, pair.server):
            if not session.is_open:
                assert [session.open_datagram(other, 0.0) for _ in range(LOSSY_FAILURES)] == [None] * LOSSY_FAILURES
                assert session.events() == session.to_send() == []

    while not pair.server.is_open:
        upward = pair.client_records()
        throw_many()
        for record in upward:
            pair.to_server(record)
        downward = pair.server_records()
        throw_many()
        for record in downward:
            pair.to_client(record)
    assert pair.server.open_datagram(sealed(pair.client, b"x", 0.0), 0.0) == b"\0x"


@pytest.mark.protocol("P1.17")
def test_a_datagram_that_overtakes_the_clients_flight_is_lost_and_no_more() -> None:
    pair = Pair(make_client(carriage=WEBTRANSPORT), make_server(carriage=WEBTRANSPORT))
    while not pair.client.is_open:
        for record in pair.client_records():
            pair.to_server(record)
        for record in pair.server_records():
            pair.to_client(record)
    overtaking = sealed(pair.client, b"early", 0.0)
    assert pair.server.open_datagram(overtaking, 0.0) is None
    pair.run()
    assert pair.server.open_datagram(overtaking, 0.0) == b"\0early", "it was not held, and it was not remembered"


@pytest.mark.protocol("P1.13", "P1.14")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("frame_type", "payload"),
    [
        (SWITCH, u(2, 4)),
        (DTMF, b"\1\0\1"),
        (HANDSHAKE, b"\x10\0\0\0"),
        (CLOSE, b"\x03\xe8"),
        (JSON, b"{}"),
        (MARK, b"m"),
        (CLEAR, b""),
        (MUTE, b"\1"),
        (DATA, b"x"),
        (0x0E, b""),
    ],
)
def test_frames_that_need_the_control_stream(role: Role, frame_type: int, payload: bytes) -> None:
    meeting = role()
    assert meeting.throw_frame(frame_type, payload) is None
    assert code_at(meeting) == Code.BAD_RECORD
    assert meeting.hear() == [(CLOSE, Code.BAD_RECORD.to_bytes(2))]


@pytest.mark.protocol("P1.14", "P9.10", "P9.14", "P9.4")
@pytest.mark.parametrize("role", ROLES)
def test_frames_that_a_datagram_may_hold(role: Role) -> None:
    meeting = role()
    assert meeting.throw_frame(COVER, b"filling") is None
    assert meeting.throw_frame(0x80, b"of a later version") is None
    assert meeting.throw_frame(PONG, b"12345678") is None
    assert meeting.events[-1] == Pong(b"12345678")
    assert meeting.throw_frame(PING, b"abcdefgh") is None
    assert meeting.throw_frame(AUDIO, b"\x10\0\0\0\7x") == b"\x10\0\0\0\7x"
    assert meeting.hear() == [], "a ping in a datagram is answered in one"
    (pong,) = meeting.ours.datagrams_to_send()
    assert meeting.lossy_into.open(pong).rstrip(b"\0") == b"abcdefgh\x05"
    meeting.say(PING, b"in order")
    assert meeting.hear() == [(PONG, b"in order")]
    assert meeting.ours.datagrams_to_send() == []
    assert code_at(meeting) is None


@pytest.mark.protocol("P1.14")
def test_our_pings_and_cover_over_either_carrier() -> None:
    pair = two_carriers()
    assert pair.client.send_ping(b"12345678", 0.0, as_datagram=True)
    assert pair.client.send_cover(50, 0.0, as_datagram=True)
    assert pair.client.to_send() == []
    for datagram in pair.client.datagrams_to_send():
        assert pair.server.open_datagram(datagram, 0.0) is None
    (pong,) = pair.server.datagrams_to_send()
    assert pair.client.open_datagram(pong, 0.0) is None
    assert pair.client.events() == [Pong(b"12345678")]
    with pytest.raises(ApiMisuse):
        Pair().run().client.send_ping(b"12345678", 0.0, as_datagram=True)


@pytest.mark.protocol("P1.15")
def test_audio_that_does_not_fit_a_datagram_goes_on_the_control_stream() -> None:
    pair = two_carriers(codecs=(Codec.PCM16_16K, Codec.PCM16_48K))
    large, small = b"\1" * 1920, b"\2" * 640
    for session, other in ((pair.client, pair.server), (pair.server, pair.client)):
        assert session.seal_datagram(large, 0.0) == b""
        (record,) = session.to_send()
        assert other.open_audio(record, 0.0) == b"\0" + large
        datagram = sealed(session, small, 0.0)
        assert len(datagram) <= 1_100
        session.max_datagram_bytes = 672
        assert len(sealed(session, small, 0.0)) <= 672
        session.max_datagram_bytes = 671
        assert session.seal_datagram(small, 0.0) == b"", "the longest header counts, whatever the epoch"
        (record,) = session.to_send()
        assert other.open_audio(record, 0.0) == b"\0" + small
    with pytest.raises(ApiMisuse):
        pair.client.seal_datagram(b"x" * 8_200, 0.0)


def test_one_call_sends_audio_on_whatever_carriage() -> None:
    pair = two_carriers()
    assert pair.client.send_audio(b"small", 0.0, flags=0x20)
    assert pair.client.send_audio(b"x" * 3000, 0.0)
    (datagram,), (record,) = pair.client.datagrams_to_send(), pair.client.to_send()
    assert pair.server.open_datagram(datagram, 0.0) == b"\x20small"
    assert pair.server.open_audio(record, 0.0) == b"\0" + b"x" * 3000
    ordered = Pair().run()
    assert ordered.client.send_audio(b"one", 0.0)
    assert ordered.client.send_audio(b"two", 0.0, timestamp=7)
    heard = [ordered.server.open_audio(record, 0.0) for record in ordered.client.to_send()]
    assert heard == [b"\0one", b"\x10\0\0\0\7two"]
    ordered.client.close(1000, 0.0)
    assert not ordered.client.send_audio(b"x", 0.0)


def test_datagrams_where_there_are_none() -> None:
    pair = Pair().run()
    assert pair.server.open_datagram(sealed(two_carriers().client, b"x", 0.0), 0.0) is None
    with pytest.raises(ApiMisuse):
        pair.client.seal_datagram(b"x", 0.0)
    assert pair.client.datagrams_to_send() == []
    assert pair.client.datagrams_lost == 0


@pytest.mark.protocol("P9.18", "P9.25")
def test_a_data_session_over_two_carriers() -> None:
    """Its data goes on the control stream; of its datagrams there are pings and cover only."""
    client = make_client(
        client_config(send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0), WEBTRANSPORT
    )
    pair = Pair(client, make_server(ServerConfig(codecs=(Codec.NONE,)), WEBTRANSPORT)).run()
    assert client.send_data(b"opaque", 0.0)
    assert client.send_ping(bytes(8), 0.0, as_datagram=True)
    (datagram,) = client.datagrams_to_send()
    pair.run()
    assert pair.server_events[-1] == Data(b"opaque")
    assert pair.server.open_datagram(datagram, 0.0) is None
    for send in (client.seal_datagram, client.send_audio):
        with pytest.raises(ApiMisuse):
            send(b"x", 0.0)
    chain = client._datagram_sender
    assert chain is not None
    assert pair.server.open_datagram(chain.seal(b"\0x\x01"), 0.0) is None
    assert code_of(pair.server.events()) == Code.BAD_RECORD


# The binding


@pytest.mark.protocol("P4.5", "P4.7", "P4.8")
def test_a_client_on_webtransport_binds_with_type_2() -> None:
    hello = make_client(carriage=WEBTRANSPORT).to_send()[0]
    assert tlvs_of(hello[5:])[6] == b"\x02"
    assert code_of(make_server().receive(hello, 0.0)) == Code.BINDING_MISMATCH
    tls = make_client().to_send()[0]
    assert code_of(make_server(carriage=WEBTRANSPORT).receive(tls, 0.0)) == Code.BINDING_MISMATCH


@pytest.mark.protocol("P4.5", "P4.10")
def test_another_webtransport_sessions_exporter() -> None:
    other = msgspec.structs.replace(WEBTRANSPORT, binding=b"\xb3" * 32)
    pair = Pair(make_client(carriage=WEBTRANSPORT), make_server(carriage=other)).run()
    assert ended(pair.client_events).code == Code.AUTH_FAILED


@pytest.mark.protocol("P4.5", "P4.6", "P4.9")
def test_a_browser_that_cannot_read_the_exporter() -> None:
    unbound = msgspec.structs.replace(WEBTRANSPORT, binding_type=0, binding=b"")
    for required in (True, False):
        server = make_server(ServerConfig(require_binding=not required), WEBTRANSPORT)
        assert Pair(make_client(carriage=unbound), server).run().server.is_open is required
    assert CARRIAGE.binding_type == 1


# Failures


@pytest.mark.protocol("P7.42", "P10.7", "P11.31")
@pytest.mark.parametrize("role", ROLES)
def test_a_thousand_failures_in_an_epoch_close_the_session(role: Role) -> None:
    meeting = role()
    bad = flipped(meeting.lossy_out.seal_at(0, 0, b"\0x\x01"), 5)
    for _ in range(LOSSY_FAILURES - 1):
        assert meeting.throw(bad) is None
    assert code_at(meeting) is None
    assert meeting.throw(meeting.lossy_out.seal_at(0, 0, b"\0x\x01")) == b"\0x"
    meeting.throw(flipped(meeting.lossy_out.seal_at(0, 1, b"\0x\x01"), 5))
    assert code_at(meeting) == Code.DECRYPT_FAILED
    assert meeting.hear() == [(CLOSE, Code.DECRYPT_FAILED.to_bytes(2))]
    assert meeting.throw(meeting.lossy_out.seal_at(0, 2, b"\0x\x01")) is None


@pytest.mark.protocol("P7.42")
def test_failures_are_counted_in_each_epoch() -> None:
    meeting = ServerOverTwo()
    bad = flipped(meeting.lossy_out.seal_at(0, 0, b"\0x\x01"), 5)
    for _ in range(LOSSY_FAILURES - 1):
        meeting.throw(bad)
    answered(meeting)
    lossy = new_datagrams(meeting)
    assert meeting.throw(lossy.seal(b"\0new\x01")) == b"\0new"
    for _ in range(LOSSY_FAILURES - 1):
        meeting.throw(flipped(lossy.seal_at(0, 1, b"\0x\x01"), 5))
    assert code_at(meeting) is None


@pytest.mark.protocol("P7.41", "P7.43", "P11.1")
@pytest.mark.parametrize("role", ROLES)
def test_what_is_dropped_without_a_word(role: Role) -> None:
    """However often: duplicates, rubbish, too large ones, a generation whose key is not kept."""
    meeting = role()
    first = meeting.lossy_out.seal_at(0, 0, b"\0x\x01")
    assert meeting.throw(first) == b"\0x"
    for datagram in (first, b"", b"\0", first[:17], b"\x90\x00\x10" + bytes(30), b"\x80\x10" + bytes(16_383)):
        for _ in range(LOSSY_FAILURES + 1):
            assert meeting.throw(datagram) is None
    for _ in range(LOSSY_FAILURES + 1):
        assert meeting.throw(b"\x80\x1f" + bytes(40)) is None
    assert code_at(meeting) is None
    assert meeting.throw(meeting.lossy_out.seal_at(0, 500, b"\0far on\x01")) == b"\0far on"


@pytest.mark.protocol("P7.43", "P7.34")
def test_a_deleted_datagram_is_no_fault_and_a_deleted_control_record_is() -> None:
    pair = two_carriers()
    sealed(pair.client, b"lost", 0.0)
    assert pair.server.open_datagram(sealed(pair.client, b"heard", 0.0), 0.0) == b"\0heard"
    assert pair.server.datagrams_lost == 1
    for text in (b'{"a":1}', b'{"b":2}'):
        assert pair.client.send_json(text, 0.0)
    _, second = pair.client.to_send()
    assert code_of(pair.server.receive(second, 0.0)) == Code.REPLAY_OR_GAP
    assert pair.server.datagrams_lost == 1, "the count outlives the keys"


@pytest.mark.protocol("P2.19", "P7.44", "P9.2")
@pytest.mark.parametrize(
    ("plaintext", "code"),
    [
        (bytes(20), Code.BAD_RECORD),
        (b"", Code.BAD_RECORD),
        (b"\1x\x01", Code.BAD_RECORD),
        (b"\0" + b"x" * 8_192 + b"\x01", Code.TOO_LARGE),
        (b"short\x04", Code.BAD_RECORD),
    ],
)
def test_a_datagram_that_opens_and_is_wrong_inside(plaintext: bytes, code: Code) -> None:
    meeting = ServerOverTwo()
    assert meeting.throw(meeting.lossy_out.seal(plaintext)) is None
    assert code_at(meeting) == code


@pytest.mark.protocol("P9.20")
def test_pings_in_datagrams_draw_on_the_same_bucket() -> None:
    meeting = ServerOverTwo()
    for _ in range(130):
        meeting.throw_frame(PING, bytes(8))
        meeting.say(PING, bytes(8))
    assert code_at(meeting) == Code.RATE_LIMITED
