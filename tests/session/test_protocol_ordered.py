"""Protocol §7, §8: the ordered carrier: exactly the next record, and what a sender seals."""

from typing import Any

import pytest

from sottovoce.primitives import ApiMisuse, Secret, Suite
from sottovoce.session.ratchet import ReceiveChain, SendChain
from sottovoce.wire import Code, WireError, sframe
from tests.session.dialogue import CARRIAGE, flipped, make_client, make_server, talking
from tests.session.dialogue import code_of as code_in
from tests.session.foreign_bytes import Chain, ref, u
from tests.session.meeting import AtClient, AtServer, Meeting, code_of

AUDIO = b"\0voice\x01"
ROLES = [AtServer, AtClient]
Role = type[AtServer] | type[AtClient]


def opened(role: Role, per_key: int = 16) -> Meeting:
    """A session with few records per key."""
    if role is AtServer:
        return AtServer(messages_per_key=per_key)
    return AtClient(server={"t3": u(per_key, 4)})


def taken(meeting: Meeting, generation: int, counter: int) -> int | None:
    """The code for a record that is right but for its place."""
    meeting.take(meeting.out.seal_at(generation, counter, AUDIO))
    return code_of(meeting)


def after(role: Role, count: int, per_key: int = 16) -> Meeting:
    """A session that has taken so many records."""
    meeting = opened(role, per_key)
    for _ in range(count):
        meeting.take(meeting.out.seal(AUDIO))
    assert code_of(meeting) is None
    return meeting


@pytest.mark.protocol("P7.1", "P7.33", "P8.8")
@pytest.mark.parametrize("role", ROLES)
def test_the_next_record_over_many_generations(role: Role) -> None:
    """Past the sixteenth, whose KID is the first one's again."""
    meeting = after(role, 16 * 40 + 5)
    assert sum(type(event).__name__ == "Audio" for event in meeting.events) == 16 * 40 + 5


@pytest.mark.protocol("P7.34", "P10.6", "P11.1")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("count", "generation", "counter"),
    [
        pytest.param(0, 0, 1, id="a gap at the start"),
        pytest.param(3, 0, 2, id="replay of the last"),
        pytest.param(3, 0, 0, id="replay of the first"),
        pytest.param(3, 0, 4, id="a gap"),
        pytest.param(3, 1, 0, id="the next generation too early"),
        pytest.param(15, 1, 0, id="one record too early"),
        pytest.param(16, 1, 1, id="a generation not from 0"),
        pytest.param(16, 0, 15, id="replay of a generation's last"),
        pytest.param(16, 0, 0, id="the generation again"),
        pytest.param(16, 2, 0, id="a generation left out"),
        pytest.param(17, 0, 1, id="the previous generation"),
        pytest.param(17, 15, 0, id="a jump of fourteen"),
        pytest.param(20, 2, 0, id="two generations too early"),
        pytest.param(16 * 16, 0, 0, id="generation 0 in generation 16's place"),
    ],
)
def test_anything_else(role: Role, count: int, generation: int, counter: int) -> None:
    meeting = after(role, count)
    expected = Code.REPLAY_OR_GAP
    if (count, generation, counter) == (16 * 16, 0, 0):
        expected = Code.DECRYPT_FAILED  # the same KID, CTR and so the same header: only the key tells them apart
    assert taken(meeting, generation, counter) == expected


@pytest.mark.protocol("P7.34", "P11.1")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("epoch", [2, 3, 0, 0x10000000])
def test_another_epoch(role: Role, epoch: int) -> None:
    meeting = opened(role)
    base = meeting.out.base(0)
    meeting.out = Chain(base, epoch, 0x0001, 16)
    expected = Code.REPLAY_OR_GAP if epoch else Code.BAD_RECORD
    assert taken(meeting, 0, 0) == expected


@pytest.mark.protocol("P7.35", "P7.44", "P10.12")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("counter", [16, 17, 255, 65_535, 65_536, 2**32, 2**63])
@pytest.mark.parametrize("generation", [0, 1, 7])
def test_a_ctr_that_is_not_below_messages_per_key(role: Role, counter: int, generation: int) -> None:
    """Whatever the KID says."""
    assert taken(after(role, 3), generation, counter) == Code.KEY_LIMIT
    assert taken(after(role, 16), generation, counter) == Code.KEY_LIMIT


@pytest.mark.protocol("P7.1")
@pytest.mark.parametrize("per_key", [16, 1000, 65_536])
def test_the_last_ctr_of_a_key(per_key: int) -> None:
    """Between a foreign chain and ours: sealing and opening over the edge, headers of every length."""
    base = b"\x33" * 64
    foreign, sending = Chain(base, 1, 0x0001, per_key), SendChain(Secret("b", base), 1, Suite(1), per_key)
    receiving = ReceiveChain(Secret("b", base), 1, Suite(1), per_key)
    edge = {0, 7, 8, 255, 256, per_key - 1, per_key, per_key + 1}
    for number in range(per_key + 2):
        record = sending.seal(b"\x01")
        if number in edge:
            assert record == foreign.seal_at(number // per_key, number % per_key, b"\x01")
        assert receiving.open(record) == b"\x01"


@pytest.mark.protocol("P8.3")
@pytest.mark.parametrize("epoch", [1, 15, 16, 0xFFF, 0xFFFFF, 0xFFFFFFFF])
def test_key_ids_of_every_length(epoch: int) -> None:
    base = b"\x34" * 64
    foreign, sending = Chain(base, epoch, 0x0002, 16), SendChain(Secret("b", base), epoch, Suite(2), 16)
    receiving = ReceiveChain(Secret("b", base), epoch, Suite(2), 16)
    for number in range(16 * 17):
        record = sending.seal(b"x\x09")
        assert record[0] & 0x80
        assert record == foreign.seal_at(number // 16, number % 16, b"x\x09")
        assert receiving.open(record) == b"x\x09"


@pytest.mark.protocol("P7.36", "P7.45", "P10.7", "P11.5", "P11.32")
@pytest.mark.parametrize("role", ROLES)
def test_a_bit_of_every_byte_of_a_record_turned(role: Role) -> None:
    """In the header each bit.  Each is fatal, with the code of the first check that sees it."""
    whole = opened(role).out.seal(AUDIO)
    for index in range(len(whole)):
        for bit in range(8) if index < 2 else (index % 8,):
            meeting = opened(role)
            meeting.take(flipped(meeting.out.seal(AUDIO), index, 1 << bit))
            expected = {Code.DECRYPT_FAILED} if index > 1 else {Code.BAD_RECORD, Code.REPLAY_OR_GAP, Code.KEY_LIMIT}
            assert code_of(meeting) in expected
            assert not any(type(event).__name__ == "Audio" for event in meeting.events)


@pytest.mark.protocol("P7.45", "P11.32")
@pytest.mark.parametrize("spent", [0, 3, 15, 16, 17])
def test_a_bad_tag_moves_nothing(spent: int) -> None:
    """Not even across the step to the next generation: the right record still opens afterwards."""
    base = b"\x35" * 64
    foreign, receiving = Chain(base, 1, 0x0001, 16), ReceiveChain(Secret("b", base), 1, Suite(1), 16)
    for _ in range(spent):
        receiving.open(foreign.seal(AUDIO))
    good = foreign.seal(AUDIO)
    for bad in (flipped(good, len(good) - 1), flipped(good, 3), good[:-1], good + b"\0", b"", good[:2]):
        with pytest.raises(WireError):
            receiving.open(bad)
    assert receiving.open(good) == AUDIO


@pytest.mark.protocol("P7.44")
def test_the_order_of_the_checks() -> None:
    """A record that is wrong in every way is refused for the first; each repaired, for the next."""

    def code(record: bytes) -> int | None:
        meeting = after(AtServer, 3)
        meeting.take(record)
        return code_of(meeting)

    rest = bytes(17_000)
    assert code(b"\x05" + rest) == Code.TOO_LARGE
    assert code(b"\x05" + rest[:100]) == Code.BAD_RECORD
    assert code(bytes([0x98, 0x00, 0x05]) + rest[:100]) == Code.BAD_RECORD, "not minimal comes before KID and CTR"
    header = ref.sframe_header(0x999, 77)
    assert code(header + rest[:15]) == Code.BAD_RECORD, "too short comes before KID and CTR"
    assert code(header + rest[:100]) == Code.KEY_LIMIT
    assert code(ref.sframe_header(0x999, 5) + rest[:100]) == Code.REPLAY_OR_GAP
    assert code(ref.sframe_header(0x10, 3) + rest[:100]) == Code.DECRYPT_FAILED
    meeting = after(AtServer, 3)
    meeting.take(meeting.out.seal(b"\0\0\0"))
    assert code_of(meeting) == Code.BAD_RECORD


NOT_MINIMAL = [
    pytest.param(bytes([0x90, 0x00, 0x10]), id="KID 0x10 in two bytes"),
    pytest.param(bytes([0xA0, 0x00, 0x00, 0x10]), id="KID in three bytes"),
    pytest.param(bytes([0xF0]) + bytes(7) + b"\x10", id="KID in eight bytes"),
    pytest.param(bytes([0x88, 0x10, 0x00]), id="CTR 0 in a byte"),
    pytest.param(bytes([0x89, 0x10, 0x00, 0x00]), id="CTR 0 in two bytes"),
    pytest.param(bytes([0x8F, 0x10]) + bytes(8), id="CTR 0 in eight bytes"),
]


@pytest.mark.protocol("P8.5", "P11.6")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("header", NOT_MINIMAL)
def test_headers_that_are_not_minimal(role: Role, header: bytes) -> None:
    """They name the very record that is due, and its tag is right for them."""
    meeting = opened(role)
    meeting.take(meeting.out.seal_at(0, 0, AUDIO, header))
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P8.5", "P11.6")
def test_minimal_headers_decode_and_encode_to_themselves() -> None:
    for kid in (0, 7, 8, 0x10, 0xFF, 0x100, 0xFFFF, 0x10000, 2**36 - 1, 2**63):
        for counter in (0, 7, 8, 255, 256, 65_535, 65_536, 2**63):
            encoded = sframe.encode_header(kid, counter)
            assert encoded == ref.sframe_header(kid, counter)
            assert sframe.decode_header_untrusted(encoded) == (kid, counter, len(encoded))
            for length in range(len(encoded)):
                with pytest.raises(WireError):
                    sframe.decode_header_untrusted(encoded[:length])


@pytest.mark.protocol("P8.4")
@pytest.mark.parametrize("role", ROLES)
def test_metadata_is_empty(role: Role) -> None:
    """A record sealed with metadata after the header in its AAD does not open."""

    class WithMetadata(Chain):
        def seal_at(self, generation: int, counter: int, plaintext: bytes, header: bytes | None = None) -> bytes:
            kid = ref.kid(self.epoch, generation)
            whole = header or ref.sframe_header(kid, counter)
            record = super().seal_at(generation, counter, plaintext, whole + b"metadata")
            return whole + record[len(whole) + 8 :]

    meeting = opened(role)
    meeting.out.__class__ = WithMetadata
    assert taken(meeting, 0, 0) == Code.DECRYPT_FAILED


@pytest.mark.protocol("P8.9", "P11.3")
@pytest.mark.parametrize("role", ROLES)
def test_a_record_reflected(role: Role) -> None:
    meeting = opened(role)
    record = meeting.ours.seal_audio(b"mine", 0.0)
    assert record is not None
    meeting.take(record)
    assert code_of(meeting) == Code.DECRYPT_FAILED


@pytest.mark.protocol("P11.7")
@pytest.mark.parametrize("role", ROLES)
def test_a_record_of_another_live_session(role: Role) -> None:
    one, other = opened(role), opened(role)
    one.take(other.out.seal(AUDIO))
    assert code_of(one) == Code.DECRYPT_FAILED


@pytest.mark.protocol("P11.7")
def test_flights_of_two_live_sessions_swapped() -> None:
    one, other = AtServer(established=False), AtServer(established=False)
    one.until_flight()
    other.until_flight()
    one.take(other.peer.flight())
    assert code_of(one) == Code.AUTH_FAILED
    mine, theirs = AtClient(established=False), AtClient(established=False)
    mine.take(mine.peer.hello())
    theirs.take(theirs.peer.hello())
    mine.take(theirs.peer.flight())
    assert code_of(mine) == Code.AUTH_FAILED


@pytest.mark.protocol("P11.4")
def test_every_handshake_record_cut_off_at_every_byte() -> None:
    """Hellos of both sides at each length; flights too, sampled in the middle, where it is all one ciphertext."""

    def server_after(step: int, record: bytes) -> int | None:
        meeting = AtServer(established=False)
        if step:
            meeting.until_flight()
        meeting.take(record)
        return code_of(meeting)

    hello = AtServer(established=False).peer.hello()
    for length in range(len(hello)):
        assert code_in(make_server().receive(hello[:length], 0.0)) == Code.BAD_RECORD
    flight = AtServer(established=False)
    flight.until_flight()
    record = flight.peer.flight()
    for length in range(0, len(record), 3):
        assert server_after(1, record[:length]) == Code.BAD_RECORD
    client = AtClient(established=False)
    answer = client.peer.hello()
    for length in range(len(answer)):
        assert code_in(make_client(carriage=CARRIAGE).receive(answer[:length], 0.0)) == Code.BAD_RECORD


@pytest.mark.protocol("P11.5")
def test_bits_of_the_sealed_flights_turned() -> None:
    for index in (0, 1, 2, 3, 50, -17, -1):
        server = AtServer(established=False)
        server.until_flight()
        record = server.peer.flight()
        server.take(flipped(record, index % len(record)))
        assert code_of(server) in ({Code.BAD_RECORD} if 0 <= index < 3 else {Code.AUTH_FAILED})
        client = AtClient(established=False)
        client.take(client.peer.hello())
        record = client.peer.flight()
        client.take(flipped(record, index % len(record)))
        assert code_of(client) in ({Code.BAD_RECORD} if 0 <= index < 3 else {Code.AUTH_FAILED})


# Sealing


@pytest.mark.protocol("P7.29", "P7.32", "P11.30")
def test_no_key_and_ctr_is_sealed_twice() -> None:
    """Audio and control mixed, over generations and epochs: every header once, in order."""
    pair = talking(messages_per_key=16, epoch_seconds=10)
    headers: list[tuple[int, int]] = []

    def note(records: list[bytes]) -> None:
        headers.extend(sframe.decode_header_untrusted(record)[:2] for record in records if record[0] & 0x80)

    for turn in range(60):
        pair.client.send_cover(2, pair.now)
        note(pair.client_records())
        audio = pair.client.seal_audio(bytes([turn]), pair.now)
        assert audio is not None
        note([audio])
    assert len(headers) == len(set(headers)) == 120
    assert headers == [(0x10 + number // 16 % 16, number % 16) for number in range(120)]


@pytest.mark.protocol("P7.30", "P7.31")
def test_what_waits_to_be_written_comes_before_what_is_sealed_next() -> None:
    pair = talking()
    pair.client.send_json(b"{}", 0.0)
    with pytest.raises(ApiMisuse):
        pair.client.seal_audio(b"x", 0.0)
    pair.run()
    assert pair.client.seal_audio(b"x", 0.0) is not None


@pytest.mark.protocol("P7.31", "P11.1")
def test_records_written_out_of_order_or_twice_are_noticed() -> None:
    for order in ([0, 0], [1, 0], [0, 2]):
        pair = talking()
        records = [pair.client.seal_audio(bytes([number]), 0.0) or b"" for number in range(3)]
        events: list[Any] = []
        for number in order:
            events += pair.to_server(records[number])
        assert code_in(events) == Code.REPLAY_OR_GAP


@pytest.mark.protocol("P7.52", "P10.12")
def test_the_epoch_never_wraps() -> None:
    meeting = AtClient()
    assert meeting.client._sender
    assert meeting.client._receiver
    meeting.client._sender.epoch = 0xFFFFFFFF
    due = meeting.ours.next_deadline()
    assert due is not None
    meeting.at(due)
    assert code_of(meeting) == Code.KEY_LIMIT
    server = AtServer()
    assert server.server._sender
    server.server._sender.epoch = 0xFFFFFFFF
    server.init(epoch=0)
    assert code_of(server) == Code.KEY_LIMIT
