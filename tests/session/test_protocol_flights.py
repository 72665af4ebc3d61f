"""Protocol §3: the two sealed flights: order, ranges, and what leaves when."""

import itertools
from typing import Any

import pytest

from sottovoce.primitives import Secret
from sottovoce.session.config import Credential
from sottovoce.session.credentials import Identity
from sottovoce.session.events import Established
from sottovoce.wire import Code, Codec
from tests.session.dialogue import Credentials, Pair, code_of, ended, flipped, make_client, make_server, talking
from tests.session.foreign_bytes import HANDSHAKE, message, ref, u, with_tlv
from tests.session.meeting import (
    FROM_CLIENT,
    FROM_SERVER,
    AtClient,
    AtServer,
    judged,
    judged_by_client,
    judged_by_server,
)
from tests.session.meeting import code_of as code

TOKEN = b"a very secret token"


def _flight_at_server(arrange: Any, **options: Any) -> AtServer:
    meeting = AtServer(established=False, client={"arrange": arrange} | options)
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    return meeting


def _flight_at_client(arrange: Any, **config: Any) -> AtClient:
    meeting = AtClient(established=False, server={"arrange": arrange}, **config)
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    return meeting


@pytest.mark.protocol("P3.30", "P3.33")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_the_clients_flight_out_of_order(order: tuple[int, ...]) -> None:
    assert code(_flight_at_server(lambda flight: [flight[i] for i in order])) == Code.BAD_RECORD


@pytest.mark.protocol("P3.30", "P3.33")
@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[1:])
def test_the_servers_flight_out_of_order(order: tuple[int, ...]) -> None:
    meeting = _flight_at_client(lambda flight: [flight[i] for i in order])
    assert code(meeting) == Code.BAD_RECORD
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P3.33")
@pytest.mark.parametrize("index", range(4))
def test_a_flight_with_a_message_missing_or_twice(index: int) -> None:
    assert code(_flight_at_client(lambda f: f[:index] + f[index + 1 :])) == Code.BAD_RECORD
    assert code(_flight_at_client(lambda f: f[: index + 1] + f[index:])) == Code.BAD_RECORD
    if index < 3:
        assert code(_flight_at_server(lambda f: f[:index] + f[index + 1 :])) == Code.BAD_RECORD
        assert code(_flight_at_server(lambda f: f[: index + 1] + f[index:])) == Code.BAD_RECORD


@pytest.mark.protocol("P3.33", "P3.34")
@pytest.mark.parametrize("kind", range(1, 17))
@pytest.mark.parametrize("index", range(4))
def test_a_flight_with_any_other_message_in_it(kind: int, index: int) -> None:
    """Types 12–16 outside a frame among them."""
    extra = message(kind, t1=bytes(48))
    assert code(_flight_at_server(lambda f: [*f[:index], extra, *f[index:]])) == Code.BAD_RECORD
    assert code(_flight_at_client(lambda f: [*f[:index], extra, *f[index:]])) == Code.BAD_RECORD


@pytest.mark.protocol("P3.34")
@pytest.mark.parametrize("kind", [*range(2, 17)])
def test_any_other_message_where_a_hello_is_due(kind: int) -> None:
    server = make_server()
    assert code_of(server.receive(b"\x00" + message(kind, t1=bytes(48)), 0.0)) == Code.BAD_RECORD
    if kind > 3:
        client = make_client()
        assert code_of(client.receive(b"\x00" + message(kind, t1=bytes(48)), 0.0)) == Code.BAD_RECORD


@pytest.mark.protocol("P3.33")
def test_a_flight_before_its_turn_and_a_hello_after_it() -> None:
    early = AtServer(established=False)
    early.take(b"\x01\x00\x20" + bytes(32))
    assert code(early) == Code.BAD_RECORD
    eager = AtServer(established=False)
    hello = eager.peer.hello()
    eager.take(hello)
    eager.take(hello)
    assert code(eager) == Code.BAD_RECORD
    late = AtServer(established=False)
    late.until_flight()
    late.take(hello)
    assert code(late) == Code.BAD_RECORD
    client = AtClient(established=False)
    hello = client.peer.hello()
    client.take(hello)
    client.take(hello)
    assert code(client) == Code.BAD_RECORD


@pytest.mark.protocol("P3.35")
@pytest.mark.parametrize("kind", range(1, 12))
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_messages_of_the_handshake_inside_a_frame(role: type[AtServer] | type[AtClient], kind: int) -> None:
    meeting = role()
    meeting.say(HANDSHAKE, message(kind, t1=bytes(48)))
    assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P3.36")
@pytest.mark.parametrize("made", [message(15, t1=u(60, 4), t2=b"ticket"), message(16)])
def test_messages_that_a_client_does_not_send(made: bytes) -> None:
    meeting = AtServer()
    meeting.say(HANDSHAKE, made)
    assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P3.37", "P10.8")
def test_the_other_sides_part_of_a_root_step() -> None:
    for kind in (13, 14):
        server = AtServer()
        server.say(HANDSHAKE, message(kind, t1=u(2, 4), t2=u(0x11EC, 2) + bytes(1120)))
        assert code(server) == Code.REKEY_PROTOCOL
    client = AtClient()
    client.say(HANDSHAKE, message(12, t1=u(2, 4), t2=u(0x11EC, 2) + bytes(1216)))
    assert code(client) == Code.REKEY_PROTOCOL


# What the server says of the session


@pytest.mark.protocol("P3.48", "P10.3")
@pytest.mark.parametrize(
    ("tag", "value"),
    [
        pytest.param(2, u(1, 2), marks=pytest.mark.protocol("P3.7")),
        pytest.param(2, u(0, 2), marks=pytest.mark.protocol("P3.7")),
        pytest.param(2, u(3601, 2), marks=pytest.mark.protocol("P3.7")),
        pytest.param(2, u(65535, 2), marks=pytest.mark.protocol("P3.7")),
        pytest.param(3, u(0, 4), marks=pytest.mark.protocol("P3.8")),
        pytest.param(3, u(15, 4), marks=pytest.mark.protocol("P3.8")),
        pytest.param(3, u(65537, 4), marks=pytest.mark.protocol("P3.8")),
        pytest.param(3, u(0xFFFFFFFF, 4), marks=pytest.mark.protocol("P3.8")),
        pytest.param(4, b"\x03", marks=pytest.mark.protocol("P3.48")),
        pytest.param(4, b"\xff", marks=pytest.mark.protocol("P3.48")),
        pytest.param(5, b"\x01", marks=pytest.mark.protocol("P3.9")),
        pytest.param(7, b"\x01", marks=pytest.mark.protocol("P3.10")),
        pytest.param(7, b"", marks=pytest.mark.protocol("P3.10")),
    ],
)
def test_parameters_out_of_range(tag: int, value: bytes) -> None:
    """And no credential leaves: `judged_by_client` asserts that nothing is sent."""
    assert judged_by_client("ServerParams", lambda made: with_tlv(made, tag, value)) == Code.POLICY


@pytest.mark.protocol("P3.7", "P3.8")
@pytest.mark.parametrize(
    ("tag", "value"),
    [(2, u(2, 2)), (2, u(3600, 2)), (3, u(16, 4)), (3, u(65536, 4)), (4, b"\0"), (4, b"\1"), (6, b"\0"), (6, b"\xff")],
)
def test_parameters_at_the_ends_of_their_ranges(tag: int, value: bytes) -> None:
    assert judged_by_client("ServerParams", lambda made: with_tlv(made, tag, value)) is None


@pytest.mark.protocol("P3.9")
def test_an_empty_list_of_codecs() -> None:
    assert judged_by_client("ServerParams", lambda made: with_tlv(made, 5, b"")) == Code.BAD_RECORD


@pytest.mark.protocol("P3.6")
def test_what_was_agreed_is_told_on_both_sides() -> None:
    meeting = AtClient(server={"t2": u(77, 2), "t3": u(99, 4)}, frame_milliseconds=40)
    (established,) = meeting.events
    assert isinstance(established, Established)
    assert (established.session_id, established.epoch_seconds, established.messages_per_key) == (b"\x1d" * 16, 77, 99)
    pair = talking(epoch_seconds=33, messages_per_key=44, padding=0)
    ends = [event for event in (*pair.client_events, *pair.server_events) if isinstance(event, Established)]
    assert len({event.session_id for event in ends}) == 1
    assert {(event.epoch_seconds, event.messages_per_key, event.padding) for event in ends} == {(33, 44, 0)}


# What the client says


@pytest.mark.protocol("P3.19")
def test_metadata_is_a_json_object_of_at_most_4096_bytes() -> None:
    largest = b'{"a":"' + b"x" * (4096 - 8) + b'"}'
    assert len(largest) == 4096
    meeting = AtServer(client={"metadata": largest})
    assert isinstance(meeting.events[-1], Established)
    assert meeting.events[-1].metadata == largest
    for bad in (b'{"a":"' + b"x" * (4096 - 7) + b'"}', b"[]", b"", b"{", b"null", b'{"a":1} x', b"\xff\xfe", b'"s"'):
        assert code(_flight_at_server(lambda f: f, metadata=bad)) == Code.BAD_RECORD


@pytest.mark.protocol("P3.20", "P4.20")
def test_credentials_of_the_wrong_shape_or_kind() -> None:
    assert code(_flight_at_server(lambda f: f, credential=(0, b"x"))) == Code.BAD_RECORD
    for kind in (1, 3, 4, 0xFF):
        assert code(_flight_at_server(lambda f: f, credential=(kind, b"x"))) == Code.AUTH_FAILED


@pytest.mark.protocol("P3.20")
def test_a_bearer_token_reaches_the_check() -> None:
    credentials = Credentials(Identity("alice"))
    meeting = AtServer(credentials=credentials, client={"credential": (1, TOKEN)}, credential_kinds=(1,))
    assert credentials.asked == [(1, TOKEN, b"voice.example.com:8443", b"/v1/voice/echo?x=1")]
    assert isinstance(meeting.events[-1], Established)
    assert meeting.events[-1].identity == Identity("alice")


# What leaves when


def _client_with_token(server: dict[str, Any]) -> AtClient:
    meeting = AtClient(established=False, server=server, credential=Credential(1, Secret("token", TOKEN)))
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    return meeting


@pytest.mark.protocol("P3.31")
def test_the_credential_leaves_when_everything_was_verified() -> None:
    meeting = _client_with_token({})
    meeting.peer.client_flight(meeting.ours.to_send()[0])
    assert ref.message(9, t1=b"\x01", t2=TOKEN) in meeting.peer.client_messages


@pytest.mark.protocol("P3.31", "P3.17", "P10.2", "P11.24")
@pytest.mark.parametrize(("name", "at"), [("ServerVerify", 60 + 40), ("ServerVerify", -40), ("ServerFinished", -1)])
def test_the_credential_does_not_leave_when_something_was_not(name: str, at: int) -> None:
    def spoil(which: str, made: bytes) -> bytes:
        return flipped(made, at % len(made)) if which == name else made

    meeting = _client_with_token({"edit": spoil})
    assert code(meeting) == Code.AUTH_FAILED
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P3.32")
def test_the_client_may_send_frames_directly_behind_its_flight() -> None:
    pair = Pair()
    for record in pair.client_records():
        pair.to_server(record)
    for record in pair.server_records():
        pair.to_client(record)
    flight = pair.client_records()
    audio = pair.client.seal_audio(b"early", 0.0)
    assert audio is not None
    for record in flight:
        pair.to_server(record)
    assert pair.server.open_audio(audio, 0.0) == b"\0early"


@pytest.mark.protocol("P3.32")
def test_the_server_sends_no_frame_before_it_has_verified_client_finished() -> None:
    meeting = AtServer(established=False)
    meeting.until_flight()
    assert meeting.server.seal_audio(b"early", 0.0) is None
    assert not meeting.server.send_json(b"{}", 0.0)
    assert not meeting.server.send_mark("m", 0.0)
    assert meeting.server.to_send() == []


@pytest.mark.protocol("P3.23", "P10.2")
def test_a_wrong_client_finished() -> None:
    assert judged_by_server("ClientFinished", lambda made: flipped(made, len(made) - 1)) == Code.AUTH_FAILED


@pytest.mark.protocol("P3.23", "P10.2", "P10.17")
def test_a_session_that_ends_in_the_handshake_says_nothing_of_it_inside() -> None:
    for name in (*FROM_CLIENT[:5], *FROM_SERVER[:6]):
        assert judged(name, lambda made: b"\x7f" + made[1:]) == Code.BAD_RECORD
    pair = Pair()
    pair.to_server(b"\x05")
    assert pair.server.to_send() == []


@pytest.mark.protocol("P3.38")
def test_before_the_end_of_the_handshake_the_carriages_code_is_a_hint_only() -> None:
    client = make_client()
    end = ended(client.carriage_ended(Code.NO_COMMON_SUITE))
    assert (end.code, end.local, end.truncated) == (Code.NO_COMMON_SUITE, False, True)


@pytest.mark.protocol("P3.38", "P7.50", "P11.2")
def test_afterwards_frame_type_7_speaks_and_not_the_carriage() -> None:
    pair = talking()
    end = ended(pair.client.carriage_ended(1000))
    assert end.truncated
    assert ended(pair.server.carriage_ended(None)).truncated


@pytest.mark.protocol("P9.22", "P9.23", "P9.21", "P10.3")
@pytest.mark.parametrize(
    "codecs", [(9, 3, 20), (3, 255, 20), (1, 3, 20), (3, 1, 20), (3, 3, 0), (3, 3, 15), (3, 3, 30), (3, 3, 80)]
)
def test_a_codec_that_was_not_offered_or_another_duration(codecs: tuple[int, int, int]) -> None:
    meeting = AtServer(
        established=False, client={"codecs": codecs}, codecs=tuple(Codec(number) for number in range(2, 9))
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code(meeting) == Code.POLICY


@pytest.mark.protocol("P9.21")
@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
def test_each_codec_and_each_duration(number: int, milliseconds: int) -> None:
    meeting = AtServer(client={"codecs": (number, 1, milliseconds)})
    established = meeting.events[-1]
    assert isinstance(established, Established)
    assert (established.send_codec, established.receive_codec) == (number, 1)
    assert established.frame_milliseconds == milliseconds


@pytest.mark.protocol("P9.26")
def test_a_server_offers_no_data_sessions() -> None:
    assert Codec.NONE not in make_server()._handshake.params.codecs  # type: ignore[union-attr]
    for codecs in ((0, 0, 0), (0, 3, 20), (3, 0, 20)):
        assert code(_flight_at_server(lambda f: f, codecs=codecs)) == Code.POLICY
