"""Protocol §7: both carriers switch together, age and end together; and datagrams that overtake the control stream."""

from typing import Any

import pytest

from sottovoce.session.events import EpochStarted, Established, TicketReceived
from sottovoce.wire import Code
from tests.session.carriers import (
    WEBTRANSPORT,
    ClientOverTwo,
    ServerOverTwo,
    answered,
    new_datagrams,
    sealed,
    two_carriers,
)
from tests.session.dialogue import Box, Pair, client_config, code_of, make_client, make_server
from tests.session.foreign_bytes import (
    JSON,
    PING,
    PONG,
    SWITCH,
    u,
)
from tests.session.meeting import code_of as code_at

ROLES = [ServerOverTwo, ClientOverTwo]
Role = type[ServerOverTwo] | type[ClientOverTwo]
SWITCHED = [(SWITCH, u(2, 4))]


@pytest.mark.protocol("P7.21", "P7.18", "P7.20")
def test_the_client_switches_both_carriers_with_a_ping_on_the_control_stream_first() -> None:
    meeting = ClientOverTwo()
    meeting.answer()
    assert meeting.ours.datagrams_to_send() == []
    assert [kind for kind, _ in meeting.hear()] == [SWITCH, PING]
    datagram = sealed(meeting.client, b"abc", meeting.now)
    assert datagram[:2] == b"\x80\x20"
    assert meeting.peer.chain("c2s").open(datagram).rstrip(b"\0") == b"\0abc\x01"


@pytest.mark.protocol("P7.21", "P7.19", "P7.17")
def test_the_server_switches_when_a_datagram_overtakes_the_control_stream() -> None:
    meeting = ServerOverTwo()
    answered(meeting)
    assert sealed(meeting.server, b"a", 0.0)[:2] == b"\x80\x10"
    meeting.lossy_into.sent += 1
    assert meeting.throw(new_datagrams(meeting).seal(b"\0overtaking\x01")) == b"\0overtaking"
    assert meeting.events[-1] == EpochStarted(2, reauthenticated=True)
    assert meeting.server.epoch == 2
    heard = meeting.hear()
    assert heard[0] == SWITCHED[0]
    assert [kind for kind, _ in heard] == [SWITCH, PING]
    assert sealed(meeting.server, b"a", 0.0)[:2] == b"\x80\x20"
    assert meeting.throw(meeting.lossy_out.seal(b"\0late\x01")) == b"\0late"
    meeting.say(JSON, b'{"still":"old"}')
    meeting.switch()
    meeting.say(PING, bytes(8))
    assert meeting.hear() == [(PONG, bytes(8))], "it switches once"
    assert code_at(meeting) is None
    assert [event for event in meeting.events if isinstance(event, EpochStarted)] == [
        EpochStarted(2, reauthenticated=True)
    ]


@pytest.mark.protocol("P7.21", "P7.19")
def test_the_server_switches_when_a_datagram_overtakes_the_ping_behind_the_switch() -> None:
    meeting = ServerOverTwo()
    answered(meeting)
    meeting.switch()
    assert meeting.server.epoch == 1
    assert meeting.throw(new_datagrams(meeting).seal(b"\0x\x01")) == b"\0x"
    assert meeting.server.epoch == 2
    meeting.say(PING, bytes(8))
    assert [kind for kind, _ in meeting.hear()] == [SWITCH, PING, PONG]
    assert code_at(meeting) is None


@pytest.mark.protocol("P7.21", "P7.19", "P7.39")
@pytest.mark.parametrize("role", ROLES)
def test_the_control_stream_takes_the_datagrams_along(role: Role) -> None:
    """Nobody speaks: the old key of datagrams goes two seconds after the control stream is in the new epoch."""
    meeting = role()
    old = meeting.lossy_out
    answered(meeting)
    assert meeting.throw(old.seal(b"\0still\x01")) == b"\0still"
    meeting.switch()
    meeting.say(PING, bytes(8))
    began = meeting.now
    meeting.at(began + 1.9)
    assert meeting.throw(old.seal(b"\0late\x01")) == b"\0late"
    lossy = meeting.ours._lossy
    assert lossy is not None
    assert lossy.epoch == 2
    assert meeting.ours.next_deadline() == pytest.approx(began + 2.0)
    meeting.at(began + 2.0)
    assert lossy._kept is None
    assert meeting.throw(old.seal(b"\0too late\x01")) is None
    assert lossy.failures == 0
    assert code_at(meeting) is None


@pytest.mark.protocol("P7.21")
def test_a_datagram_of_the_servers_new_epoch_overtakes_its_switch() -> None:
    meeting = ClientOverTwo()
    meeting.answer()
    meeting.hear()
    assert meeting.throw(new_datagrams(meeting).seal(b"\0early\x01")) == b"\0early"
    assert not any(isinstance(event, EpochStarted) for event in meeting.events), "the step waits for the switch"
    meeting.switch()
    meeting.say(PING, bytes(8))
    assert EpochStarted(2, reauthenticated=True) in meeting.events
    assert code_at(meeting) is None


@pytest.mark.protocol("P7.42", "P7.17")
@pytest.mark.parametrize("role", ROLES)
def test_a_datagram_of_an_epoch_that_is_not_agreed(role: Role) -> None:
    meeting = role()
    lossy = meeting.ours._lossy
    assert lossy is not None
    assert meeting.throw(b"\x80\x20" + bytes(40)) is None
    assert (lossy.epoch, lossy.failures, meeting.ours.epoch) == (1, 1, 1)


@pytest.mark.protocol("P7.7", "P7.21")
def test_many_steps_with_a_foreign_peer() -> None:
    server, client = ServerOverTwo(), ClientOverTwo()
    for epoch in range(2, 12):
        for meeting in (server, client):
            meeting.now += 20
            answered(meeting)
            meeting.switch()
            meeting.say(PING, bytes(8))
            meeting.hear()
            assert meeting.throw(new_datagrams(meeting).seal(b"\0x\x01")) == b"\0x"
            assert meeting.ours.epoch == epoch
            assert code_at(meeting) is None


# Age and end


@pytest.mark.protocol("P7.24")
def test_no_datagram_is_sealed_past_the_epochs_age() -> None:
    pair = two_carriers(epoch_seconds=10)
    assert sealed(pair.client, b"x", 9.99)
    assert pair.client.seal_datagram(b"x", 10.0) is None
    assert not pair.client.send_audio(b"x", 10.0)
    assert not pair.client.send_ping(bytes(8), 10.0, as_datagram=True)


@pytest.mark.protocol("P7.26", "P7.27")
def test_a_datagram_that_comes_after_the_end_of_the_epoch_ends_the_session() -> None:
    pair = two_carriers(epoch_seconds=10)
    datagram = sealed(pair.client, b"x", 0.0)
    assert pair.server.open_datagram(datagram, 40.0) is None
    assert code_of(pair.server.events()) == Code.EXPIRED
    assert pair.server.open_datagram(datagram, 40.0) is None
    assert pair.client.seal_datagram(b"x", 40.0) is None


@pytest.mark.protocol("P5.17", "P7.28", "P7.37")
def test_every_chain_of_both_carriers_is_wiped_at_the_end() -> None:
    pair = two_carriers()
    pair.step()
    for session in (pair.client, pair.server):
        lossy, datagrams, control = session._lossy, session._datagram_sender, session._sender
        assert lossy is not None
        assert datagrams is not None
        assert control is not None
        session.carriage_ended()
        for chain in (lossy, datagrams, control):
            assert chain._base.is_wiped
        assert session.seal_datagram(b"x", pair.now) is None


@pytest.mark.protocol("P5.17", "P7.28")
def test_chains_that_wait_for_the_switch_are_wiped_at_the_end() -> None:
    """Before the client's `switch`, and between it and the ping behind it."""
    for has_switched in (False, True):
        meeting = ServerOverTwo()
        answered(meeting)
        ours: Any = meeting.server
        chains = ours._step.chains
        if has_switched:
            meeting.switch()
        waiting = [chains.sender, chains.receiver, chains.datagram_sender]
        bases = [ours._lossy._next_base, ours._lossy._base, *(chain._base for chain in waiting)]
        assert not any(secret.is_wiped for secret in bases)
        ours.carriage_ended()
        assert all(secret.is_wiped for secret in bases)
        assert {chain._current.nonce_head for chain in waiting} == {bytes(10)}


@pytest.mark.protocol("P5.17", "P7.28")
def test_the_clients_receive_keys_of_the_next_epoch_are_wiped_at_the_end() -> None:
    meeting = ClientOverTwo()
    answered(meeting)
    ours: Any = meeting.client
    receiver = ours._step.receiver
    bases = [ours._lossy._next_base, ours._lossy._base, receiver._base]
    assert not any(secret.is_wiped for secret in bases)
    ours.carriage_ended()
    assert all(secret.is_wiped for secret in bases)
    assert receiver._current.nonce_head == bytes(10)


@pytest.mark.protocol("P5.17")
def test_chains_whose_step_a_datagram_finished_are_wiped_at_the_end() -> None:
    meeting = ServerOverTwo()
    answered(meeting)
    meeting.throw(new_datagrams(meeting).seal(b"\0x\x01"))
    ours: Any = meeting.server
    receiver, sender = ours._step.chains.receiver, ours._sender
    ours.close(1000, 0.0)
    assert receiver._base.is_wiped
    assert sender._base.is_wiped


@pytest.mark.protocol("P5.16", "P6.47")
def test_a_ticket_of_an_epoch_that_a_datagram_began() -> None:
    """Its psk is res[e] of the record's epoch, though the server switched before the client's `switch` had come."""
    box = Box()
    server = make_server(carriage=WEBTRANSPORT, tickets=box)
    pair = Pair(make_client(carriage=WEBTRANSPORT), server).run()
    due = pair.client._rekey_at
    assert due is not None
    pair.now = due
    pair.client.on_deadline(due)
    for record in pair.client_records():
        pair.to_server(record)
    for record in pair.server_records():
        pair.to_client(record)
    assert pair.server.open_datagram(sealed(pair.client, b"x", due), due) == b"\0x"
    assert (pair.server.epoch, pair.client.epoch) == (2, 2)
    pair.run()
    first, second = (event.ticket for event in pair.client_events if isinstance(event, TicketReceived))
    assert (first.binding_type, second.binding_type) == (2, 2)
    for ticket in (first, second):
        again = Pair(
            make_client(client_config(ticket=ticket), WEBTRANSPORT, now=due),
            make_server(carriage=WEBTRANSPORT, tickets=box, now=due),
            now=due,
        ).run()
        (established,) = (event for event in again.client_events if isinstance(event, Established))
        assert established.is_resumed
        assert again.server.open_datagram(sealed(again.client, b"resumed", due), due) == b"\0resumed"
