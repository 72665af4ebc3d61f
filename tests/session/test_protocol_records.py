"""Protocol §2: what the first byte decides, sizes, and the time a handshake may take."""

import pytest

from sottovoce.primitives import Suite
from sottovoce.wire import MAX_TRANSPORT_MESSAGE_BYTES, Code
from tests.session.dialogue import Pair, code_of, make_client, make_server, talking
from tests.session.foreign_bytes import AUDIO, COVER, DTMF, HANDSHAKE, JSON, MARK, PING, with_tlv
from tests.session.meeting import AtClient, AtServer, Meeting, judged_by_client, judged_by_server
from tests.session.meeting import code_of as code

BOTH = [AtServer, AtClient]
OTHER_FIRST_BYTES = range(0x02, 0x80)


def _unfinished() -> list[Meeting]:
    """Each state of both roles before the handshake ends."""
    hello_due = AtServer(established=False)
    proof_due = AtServer(established=False)
    proof_due.take(proof_due.peer.hello())
    flight_due = AtServer(established=False)
    flight_due.until_flight()
    second_due = AtServer(established=False, client={"shares": ()})
    second_due.take(second_due.peer.hello())
    hello_sent = AtClient(established=False)
    server_flight_due = AtClient(established=False)
    server_flight_due.take(server_flight_due.peer.hello())
    retried = AtClient(established=False, suites=(Suite(0x0001), Suite(0x0101)))
    retried.take(retried.peer.retry(0x11ED))
    return [hello_due, second_due, proof_due, flight_due, hello_sent, retried, server_flight_due]


@pytest.mark.protocol("P2.5")
@pytest.mark.parametrize("state", range(7))
def test_other_first_bytes_before_the_end_of_the_handshake(state: int) -> None:
    for first in (0x02, 0x03, 0x40, 0x7F):
        meeting = _unfinished()[state]
        meeting.take(bytes([first]) + b"\x00" * 40)
        assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.5")
@pytest.mark.parametrize("role", BOTH)
def test_other_first_bytes_in_a_session(role: type[AtServer] | type[AtClient]) -> None:
    template = role().out.seal(b"\0abc\x01")
    for first in (0x00, 0x01, *(OTHER_FIRST_BYTES if role is AtServer else (0x02, 0x10, 0x7F))):
        meeting = role()
        meeting.take(bytes([first]) + template[1:])
        assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.4")
@pytest.mark.parametrize("state", range(7))
@pytest.mark.parametrize("first", [0x80, 0x90, 0xFF])
def test_an_sframe_object_is_legal_only_after_the_handshake(state: int, first: int) -> None:
    meeting = _unfinished()[state]
    meeting.take(bytes([first]) + b"\x10" + bytes(40))
    assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.5", "P11.35")
@pytest.mark.parametrize("state", range(7))
def test_an_empty_record_in_the_handshake(state: int) -> None:
    meeting = _unfinished()[state]
    meeting.take(b"")
    assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.5", "P11.35")
@pytest.mark.parametrize("role", BOTH)
def test_an_empty_record_in_a_session(role: type[AtServer] | type[AtClient]) -> None:
    meeting = role()
    meeting.take(b"")
    assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.1")
def test_a_plain_record_holds_exactly_one_message() -> None:
    server = AtServer(established=False)
    hello = server.peer.hello()
    server.take(hello + hello[1:])
    assert code(server) == Code.BAD_RECORD
    client = AtClient(established=False)
    hello = client.peer.hello()
    client.take(hello + hello[1:])
    assert code(client) == Code.BAD_RECORD
    for meeting in (AtServer(established=False), AtClient(established=False)):
        meeting.take(b"\x00")
        assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.1", "P2.2", "P3.33")
def test_a_hello_does_not_come_sealed_nor_a_flight_plain() -> None:
    server = AtServer(established=False)
    server.take(b"\x01" + server.peer.hello()[1:])
    assert code(server) == Code.BAD_RECORD
    server = AtServer(established=False)
    server.until_flight()
    server.take(b"\x00" + server.peer.flight()[1:])
    assert code(server) == Code.BAD_RECORD


@pytest.mark.protocol("P2.2", "P2.12")
@pytest.mark.parametrize("change", [-1, 1, 256, 60_000])
def test_the_length_of_a_sealed_record_is_that_of_its_ciphertext(change: int) -> None:
    server = AtServer(established=False)
    server.until_flight()
    record = server.peer.flight()
    server.take(record[:1] + (int.from_bytes(record[1:3]) + change).to_bytes(2) + record[3:])
    assert code(server) == Code.BAD_RECORD
    client = AtClient(established=False)
    client.take(client.peer.hello())
    record = client.peer.flight()
    client.take(record + b"\0" * max(change, 1))
    assert code(client) == Code.BAD_RECORD


@pytest.mark.protocol("P2.2", "P10.2")
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17])
def test_a_sealed_record_too_short_to_open(length: int) -> None:
    server = AtServer(established=False)
    server.until_flight()
    server.take(b"\x01" + length.to_bytes(2) + bytes(length))
    assert code(server) == Code.AUTH_FAILED
    client = AtClient(established=False)
    client.take(client.peer.hello())
    client.take(b"\x01" + length.to_bytes(2) + bytes(length))
    assert code(client) == Code.AUTH_FAILED


@pytest.mark.protocol("P2.3")
@pytest.mark.parametrize("cut", [1, 2])
def test_a_flight_in_two_records(cut: int) -> None:
    server = AtServer(established=False, client={"arrange": lambda flight: flight[:cut]})
    server.until_flight()
    server.take(server.peer.flight())
    assert code(server) == Code.BAD_RECORD
    client = AtClient(established=False, server={"arrange": lambda flight: flight[:cut]})
    client.take(client.peer.hello())
    client.take(client.peer.flight())
    assert code(client) == Code.BAD_RECORD


@pytest.mark.protocol("P2.16", "P10.10")
def test_a_whole_handshake_is_bounded() -> None:
    """Each message is within its own limit; only together they are too many bytes."""

    def fill(size: int) -> None:
        def large(made: bytes) -> bytes:
            return with_tlv(made, 0xFE, bytes(size - len(made) - 3))

        edits = {"ServerHello", "ServerParams", "ServerVerify", "ServerFinished"}
        client = AtClient(established=False, server={"edit": lambda name, made: large(made) if name in edits else made})
        client.take(client.peer.hello())
        client.take(client.peer.flight())
        codes.append(code(client))

    codes: list[int | None] = []
    fill(16_384)
    fill(12_000)
    assert codes == [Code.TOO_LARGE, None]


@pytest.mark.protocol("P2.16")
def test_a_whole_handshake_is_bounded_at_the_server() -> None:
    large = {"ClientHello", "second ClientHello", "ClientParams", "ClientCredential"}

    def fill(name: str, made: bytes) -> bytes:
        return with_tlv(made, 0xFE, bytes(16_384 - len(made) - 3)) if name in large else made

    server = AtServer(established=False, client={"shares": (), "edit": fill})
    server.take(server.peer.hello())
    server.take(server.peer.retry(server.ours.to_send()[0]))
    assert code(server) is None
    server.prove()
    hello, flight = server.ours.to_send()
    server.peer.server_hello(hello)
    server.peer.server_flight(flight)
    server.take(server.peer.flight())
    assert code(server) == Code.TOO_LARGE


@pytest.mark.protocol("P2.17", "P10.5")
@pytest.mark.parametrize("state", range(7))
def test_a_handshake_takes_five_seconds_at_most(state: int) -> None:
    meeting = _unfinished()[state]
    assert meeting.ours.next_deadline() == 5.0
    assert meeting.at(4.999) == []
    meeting.at(5.0)
    assert code(meeting) == Code.EXPIRED
    assert meeting.ours.next_deadline() is None


@pytest.mark.protocol("P2.17")
@pytest.mark.parametrize("step", range(3))
def test_the_five_seconds_are_not_renewed_by_progress(step: int) -> None:
    pair = Pair(now=100.0)
    for _ in range(step):
        pair.at(pair.now + 1.6)
        for record in pair.client_records():
            pair.to_server(record)
        for record in pair.server_records():
            pair.to_client(record)
    if not pair.server.is_open:
        assert pair.server.next_deadline() == 105.0
        assert code_of(pair.server.on_deadline(105.0)) == Code.EXPIRED


@pytest.mark.protocol("P2.17")
def test_the_limit_is_gone_once_the_handshake_is_done() -> None:
    pair = talking()
    pair.tick(5.0)
    assert pair.client.is_open
    assert pair.server.is_open


@pytest.mark.protocol("P2.18", "P7.44", "P11.35")
@pytest.mark.parametrize("role", BOTH)
def test_the_size_of_a_record_is_checked_before_anything_else(role: type[AtServer] | type[AtClient]) -> None:
    """16 385 bytes of rubbish are too large; one byte less is looked into."""
    meeting = role()
    meeting.take(b"\x05" * 16_385)
    assert code(meeting) == Code.TOO_LARGE
    meeting = role()
    meeting.take(b"\x05" * 16_384)
    assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.18", "P9.32")
@pytest.mark.parametrize("role", BOTH)
def test_a_record_of_the_greatest_size(role: type[AtServer] | type[AtClient]) -> None:
    meeting = role()
    meeting.say(JSON, b"{}", padding=16_384 - 2 - 16 - 3)
    assert code(meeting) is None
    meeting = role()
    meeting.say(JSON, b"{}", padding=16_384 - 2 - 16 - 2)
    assert code(meeting) == Code.TOO_LARGE


@pytest.mark.protocol("P2.19")
@pytest.mark.parametrize("role", BOTH)
@pytest.mark.parametrize(
    ("frame_type", "payload"), [(AUDIO, b"\0a"), (COVER, b""), (DTMF, b"\1\0\1"), (PING, bytes(8)), (0x80, b"")]
)
def test_most_frames_are_at_most_8192_bytes(
    role: type[AtServer] | type[AtClient], frame_type: int, payload: bytes
) -> None:
    rest = 8_192 - 2 - 16 - 1 - len(payload)
    meeting = role()
    meeting.say(frame_type, payload, padding=rest)
    assert code(meeting) is None
    meeting = role()
    meeting.say(frame_type, payload, padding=rest + 1)
    assert code(meeting) == Code.TOO_LARGE


@pytest.mark.protocol("P2.19")
def test_a_large_frame_of_a_small_type_whose_payload_is_wrong_too() -> None:
    meeting = AtClient()
    meeting.say(MARK, b"\xff" * 9_000)
    assert code(meeting) == Code.TOO_LARGE


@pytest.mark.protocol("P2.19")
def test_a_root_step_may_be_large() -> None:
    meeting = AtServer()
    meeting.say(HANDSHAKE, meeting.peer.rekey_init(), padding=9_000)
    assert code(meeting) is None


@pytest.mark.protocol("P2.20", "P11.4", "P11.35")
@pytest.mark.parametrize("role", BOTH)
def test_a_record_shorter_than_header_and_tag(role: type[AtServer] | type[AtClient]) -> None:
    template = role().out.seal(b"")
    assert len(template) == 2 + 16
    for length in range(len(template)):
        meeting = role()
        meeting.take(meeting.out.seal(b"")[:length])
        assert code(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P2.21")
def test_the_carriages_own_limit_is_above_every_record() -> None:
    assert max(16_384, 1 + 16_384, 3 + 65_535) <= MAX_TRANSPORT_MESSAGE_BYTES


@pytest.mark.protocol("P2.1")
def test_a_second_message_type_in_a_hellos_place() -> None:
    assert judged_by_server("ClientHello", lambda made: b"\x02" + made[1:]) == Code.BAD_RECORD
    assert judged_by_client("ServerHello", lambda made: b"\x01" + made[1:]) == Code.BAD_RECORD


def test_a_machine_that_has_ended_ignores_what_comes() -> None:
    for machine in (make_server(), make_client()):
        assert code_of(machine.receive(b"\x05", 0.0)) == Code.BAD_RECORD
        machine.to_send()
        assert machine.receive(b"\x05", 0.0) == []
        assert machine.receive(b"", 0.0) == []
        assert machine.to_send() == []
