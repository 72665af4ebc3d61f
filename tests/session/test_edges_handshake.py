"""The handshake at its edges: sizes that just fit, records and proofs that come when none is due."""

from typing import Any

import pytest

from sottovoce.primitives import PublicKey, SignatureAlgorithm, Suite
from sottovoce.session import BINDING_NONE, Carriage, SealedTicket
from sottovoce.session.credentials import Possession
from sottovoce.session.handshake.client import ClientHandshake
from sottovoce.session.tickets import TicketState
from sottovoce.wire import MAX_HANDSHAKE_BYTES, MAX_MESSAGE_BYTES, MAX_TICKET_BYTES, Code, Codec, WireError
from tests.session.dialogue import (
    CARRIAGE,
    Box,
    Pair,
    client_config,
    dependencies,
    ended,
    give_proof,
    make_client,
    make_server,
)
from tests.session.foreign import ForeignServer
from tests.session.foreign_bytes import u, with_tlv
from tests.session.keys import WALL
from tests.session.meeting import AtClient, AtServer, code_of
from tests.session.test_protocol_verdicts import judged_later
from tests.session.ticketing import heard_ticket

SKIPPED = 0xFF
TWO_GROUPS = (Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM)


class Padded:
    """Fills messages of a peer with a TLV that is skipped, and counts what the peer says in this handshake."""

    def __init__(self, **fill: int) -> None:
        self.fill = {name.replace("_", " "): size for name, size in fill.items()}
        self.bytes = 0

    def __call__(self, name: str, made: bytes) -> bytes:
        if name in self.fill:
            made = with_tlv(made, SKIPPED, bytes(self.fill[name]))
        self.bytes += len(made)
        return made


# As large as a handshake may be (P2.16)


def _at_client(last: int) -> tuple[AtClient, int]:
    """A handshake with HelloRetry at our client, and the bytes of all its messages, as the foreign server counts."""
    most = MAX_MESSAGE_BYTES - 3_000
    edit = Padded(HelloRetry=most, ServerHello=most, ServerParams=most, ServerFinished=last)
    meeting = AtClient(established=False, suites=TWO_GROUPS, server={"suite": 0x0101, "edit": edit})
    peer, ours = meeting.peer, 0
    first = len(peer.seen) - len(peer.opening)
    meeting.take(peer.retry(0x11ED))
    before = len(peer.seen)
    peer.take_hello(meeting.ours.to_send()[0])
    ours = first + len(peer.seen) - before
    meeting.take(peer.hello())
    meeting.take(peer.flight())
    if code_of(meeting) is None:
        (flight,) = meeting.ours.to_send()
        peer.client_flight(flight)
        ours += sum(map(len, peer.client_messages))
    return meeting, ours + edit.bytes


def _at_server(last: int) -> tuple[AtServer, int]:
    """The same at our server."""
    most = MAX_MESSAGE_BYTES - 3_000
    edit = Padded(ClientHello=most, second_ClientHello=most, ClientParams=most, ClientFinished=last)
    client = {"suites": (0x0101,), "shares": (), "edit": edit}
    meeting = AtServer(established=False, suites=TWO_GROUPS, client=client)
    peer = meeting.peer
    meeting.take(peer.hello())
    (retry,) = meeting.ours.to_send()
    ours = len(retry) - 1
    meeting.take(peer.retry(retry))
    meeting.prove()
    before = len(peer.seen)
    hello, flight = meeting.ours.to_send()
    peer.server_hello(hello)
    peer.server_flight(flight)
    ours += len(peer.seen) - before
    meeting.take(peer.flight())
    return meeting, ours + edit.bytes


@pytest.mark.protocol("P2.16")
@pytest.mark.parametrize("handshake", [_at_client, _at_server])
def test_a_handshake_of_the_greatest_size_and_of_one_byte_more(handshake: Any) -> None:
    """Each message of both sides counts: with any one left out, a byte more would still be taken."""
    room = MAX_HANDSHAKE_BYTES - handshake(0)[1]
    meeting, size = handshake(room)
    assert size == MAX_HANDSHAKE_BYTES
    assert meeting.ours.is_open
    meeting, _ = handshake(room + 1)
    assert code_of(meeting) == Code.TOO_LARGE
    assert meeting.ours.to_send() == []


# Sizes and numbers that just fit


@pytest.mark.protocol("P4.1")
@pytest.mark.parametrize(("authority", "path"), [(b"h" * 65_535, b"/"), (b"host", b"/" * 65_535)])
def test_the_longest_authority_and_path_that_a_prologue_can_tell(authority: bytes, path: bytes) -> None:
    carriage = Carriage(BINDING_NONE, b"", authority, path)
    assert make_client(carriage=carriage).to_send()
    make_server(carriage=carriage)


@pytest.mark.protocol("P3.9")
def test_re_authentication_every_255_steps_can_be_told() -> None:
    meeting = AtServer(reauthenticate_every=255)
    assert meeting.peer.params[6] == b"\xff"
    assert meeting.ours.is_open


class _LongTickets(Box):
    """Seals tickets of a length."""

    def __init__(self, length_bytes: int) -> None:
        super().__init__()
        self.length_bytes = length_bytes

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        return SealedTicket(b"t" * self.length_bytes, 60)


@pytest.mark.protocol("P3.28")
def test_the_longest_ticket_is_sent_and_a_longer_one_is_not() -> None:
    heard = AtServer(tickets=_LongTickets(MAX_TICKET_BYTES)).hear()
    assert heard_ticket(heard) == (b"t" * MAX_TICKET_BYTES, 60)
    assert AtServer(tickets=_LongTickets(MAX_TICKET_BYTES + 1)).hear() == []


@pytest.mark.protocol("P9.22")
@pytest.mark.parametrize("missing", [Codec.OPUS_48K_MONO, Codec.PCM16_16K])
def test_a_client_goes_when_the_server_does_not_take_one_of_its_two_codecs(missing: Codec) -> None:
    both: dict[str, Any] = {"send_codec": Codec.OPUS_48K_MONO, "receive_codec": Codec.PCM16_16K}
    assert AtClient(server={"t5": bytes(both.values())}, **both).ours.is_open
    meeting = AtClient(established=False, server={"t5": bytes(set(both.values()) - {missing})}, **both)
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.POLICY
    assert meeting.ours.to_send() == []


# Out of turn


@pytest.mark.protocol("P3.30")
def test_a_clients_flight_before_the_servers_was_sent_is_out_of_order() -> None:
    """Nothing is opened with the handshake's keys while the server's proof is not there."""
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    meeting.peer.server_hello(meeting.ours.to_send()[0])
    meeting.peer.params = {3: u(1000, 4)}
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.BAD_RECORD


def _handshake() -> tuple[ClientHandshake, ForeignServer]:
    return ClientHandshake(client_config(), CARRIAGE, dependencies(b"c"), 0.0, WALL), ForeignServer()


@pytest.mark.protocol("P3.30", "P7.28")
@pytest.mark.parametrize("phase", ["not begun", "hello sent", "flight due"])
def test_a_clients_handshake_takes_nothing_before_it_has_begun_and_after_it_was_erased(phase: str) -> None:
    """What was erased has keys of zeros, which anybody has: nothing may be opened with them."""
    handshake, peer = _handshake()
    other, _ = _handshake()
    peer.take_hello(other.start())
    record = peer.hello()
    if phase != "not begun":
        peer = ForeignServer()
        peer.take_hello(handshake.start())
        record = peer.hello()
    if phase == "flight due":
        assert handshake.receive(record) is None
        record = peer.flight()
    if phase != "not begun":
        handshake.erase()
    with pytest.raises(WireError) as caught:
        handshake.receive(record)
    assert caught.value.code == Code.BAD_RECORD
    assert handshake.agreement is None


@pytest.mark.parametrize("phase", ["a verdict is due", "erased"])
def test_a_servers_handshake_takes_nothing_behind_the_clients_flight(phase: str) -> None:
    """The session does not hand it in either; the handshake itself does not open a second flight with the same key."""
    if phase == "erased":
        meeting = AtServer(established=False)
        meeting.until_flight()
    else:
        meeting, _ = judged_later()
    server: Any = meeting.server
    handshake = server._handshake
    if phase == "erased":
        handshake.erase()
    with pytest.raises(WireError) as caught:
        handshake.receive(meeting.peer.flight(), WALL)
    assert caught.value.code == Code.BAD_RECORD
    assert handshake.agreement is None


@pytest.mark.protocol("P5.24")
def test_a_proof_for_another_event_is_ignored_and_the_right_one_still_taken() -> None:
    pair = Pair()
    pair.signing = False
    pair.to_server(pair.client_records()[0])
    (wanted,) = pair.wanted
    pair.server_records()
    other = type(wanted)(wanted.kind, wanted.anchor_id, wanted.leaf_after)
    give_proof(pair.server, other, pair.keys, 0.0)
    assert pair.server.to_send() == []
    pair.sign(wanted)
    assert len(pair.server.to_send()) == 1


@pytest.mark.protocol("P4.20")
def test_a_refusal_by_policy_stays_one_whoever_was_withdrawn_meanwhile() -> None:
    meeting, shown = judged_later()
    meeting.credentials.still_holds = lambda *_: False  # type: ignore[method-assign]
    meeting.server.provide_verdict(shown, Code.POLICY, 1.0)
    assert ended(meeting.server.events()).code == Code.POLICY


# A key with which anybody can sign


@pytest.mark.protocol("P6.19")
def test_a_signature_under_a_key_of_small_order_is_no_possession() -> None:
    """R = A = the neutral point and S = 0 fit every message."""
    neutral = b"\x01" + bytes(31)
    key = PublicKey(SignatureAlgorithm.ED25519, neutral)
    assert not Possession(key, b"anything", neutral + bytes(32)).holds()
