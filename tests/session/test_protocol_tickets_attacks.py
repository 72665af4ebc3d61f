"""Protocol §11: thieves of a ticket's psk, before, during and after a step; tickets that come twice or elsewhere.

What each thief can do is shown too: a ticket with its psk is a credential for one call, and its thief can play the
server until the next proof.  That is why it lives for an hour, is used once, and why a resumed session is proved again.
"""

from typing import Any

import msgspec
import pytest

from sottovoce.session import Carriage, ClientTicket, TicketReceived
from sottovoce.wire import Code, messages
from tests.session.dialogue import CARRIAGE, Box, Credentials, Pair, make_server
from tests.session.foreign_bytes import AUDIO, HANDSHAKE, PING, Chain, ref, split, u
from tests.session.keys import DAY, WALL, other_serving_keys, serving_keys
from tests.session.meeting import AtClient, AtServer, code_of
from tests.session.ticketing import (
    PSK,
    come_again,
    earn,
    established_of,
    heard_ticket,
    kept_ticket,
    offering,
    say_ticket,
    tickets_of,
    was_resumed,
)

# P11.18, before: the psk is stolen while the ticket is unused


@pytest.mark.protocol("P11.18", "P5.13")
def test_a_stolen_psk_opens_nothing_of_the_session_it_comes_from() -> None:
    """res[1] stands beside the base keys and rk[1], not above them."""
    meeting = AtServer(tickets=Box())
    stolen = meeting.peer.log["res[1]"]
    kept = {name: meeting.peer.log[name] for name in ("base_c2s[1]", "base_s2c[1]", "rk[1]", "ctl_c2s[1]")}
    derived = {
        ref.hl(stolen, label, context, size)
        for label in ("c2s", "s2c", "c2s ctl", "rekey", "res", "root")
        for context in (meeting.peer.log["TH[1]"], ref.sha384(b""))
        for size in (48, 64)
    }
    assert not derived & set(kept.values())
    meeting.take(Chain(stolen + bytes(16), 1, 0x0001, 1000).seal(b"\0x\x01"))
    assert code_of(meeting) in {Code.DECRYPT_FAILED, Code.REPLAY_OR_GAP}


@pytest.mark.protocol("P11.18", "P6.49")
def test_a_stolen_psk_in_passive_hands_opens_nothing_of_the_resumed_session() -> None:
    """It has ES and all that was on the wire; HS wants the fresh hybrid secret too."""
    box = Box()
    ticket = earn(box)
    meeting = come_again(box, ticket)
    assert was_resumed(meeting)
    for guess in (bytes(64), ticket[1] + bytes(16)):
        thief: dict[str, bytes] = {}
        ref.handshake(thief, ticket[1], guess, b"\x01" * 48)
        assert thief["ES"] == meeting.peer.log["ES"]
        assert thief["HS"] != meeting.peer.log["HS"]
        assert thief["c_hs key"] != meeting.peer.log["c_hs key"]


@pytest.mark.protocol("P11.18", "P6.48")
def test_a_thief_who_plays_the_client_gets_one_call_and_the_clients_own_is_a_full_one() -> None:
    """The known limit: ticket and psk are a credential.  The client's next handshake asks for signatures again."""
    box = Box()
    ticket = earn(box)
    assert was_resumed(come_again(box, ticket)), "the thief"
    assert not was_resumed(come_again(box, ticket)), "the client"
    assert not was_resumed(come_again(box, ticket)), "the thief, again"


@pytest.mark.protocol("P11.18", "P4.22", "P6.53")
def test_a_thief_who_plays_the_client_is_cut_off_with_the_identity() -> None:
    box = Box()
    ticket = earn(box)
    credentials = Credentials()
    credentials.withdrawn.add("")
    assert not was_resumed(come_again(box, ticket, credentials=credentials))


def thief_who_plays_the_server(every: int, **config: Any) -> AtClient:
    """It has the psk and answers our client with it; its serving keys are its own."""
    ticket = kept_ticket(reauthenticate_every=every)
    return offering(ticket, server={"t6": u(every, 1), "keys": other_serving_keys()}, **config)


@pytest.mark.protocol("P11.18", "P6.38", "P7.16")
def test_a_thief_who_plays_the_server_is_found_at_the_next_proof() -> None:
    """The handshake succeeds, and audio flows for one epoch: no signature was asked for."""
    meeting = thief_who_plays_the_server(1)
    assert established_of(meeting).is_resumed
    meeting.say(AUDIO, b"\0x")
    assert code_of(meeting) is None
    meeting.answer()
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P11.18", "P6.57", "P7.13")
def test_a_thief_who_plays_the_server_cannot_put_the_proof_off() -> None:
    """Neither by its parameters, nor by leaving RekeyVerify out, nor by never answering."""
    for every in (0, 2, 255):
        meeting = AtClient(established=False, ticket=kept_ticket(), server={"psk": PSK, "t6": u(every, 1)})
        meeting.take(meeting.peer.hello())
        meeting.take(meeting.peer.flight())
        assert code_of(meeting) == Code.POLICY
    without = thief_who_plays_the_server(1)
    without.answer(verify=False)
    assert code_of(without) == Code.REKEY_PROTOCOL
    silent = thief_who_plays_the_server(1)
    silent.init()
    assert silent.ours.seal_audio(b"x", 300.0) is None, "nothing more is said under the old epoch"
    silent.at(360.0)
    assert code_of(silent) == Code.EXPIRED


@pytest.mark.protocol("P11.18")
def test_a_thief_of_a_chain_without_proofs_is_not_found() -> None:
    """The known limit of `re-authenticate` 0, which the client has taken in its full handshake."""
    meeting = thief_who_plays_the_server(0)
    meeting.answer(verify=False)
    assert code_of(meeting) is None
    assert meeting.client.epoch == 2


@pytest.mark.protocol("P11.18", "P6.56")
def test_a_thief_who_plays_the_server_session_after_session_is_stopped_by_the_day() -> None:
    """Each session ends before its first proof and leaves a ticket: the chain is as old as its last proof."""
    ticket, now, sessions = kept_ticket(), 0.0, 0
    while True:
        meeting = AtClient(established=False, ticket=ticket, now=now, wall=WALL, server={"psk": PSK})
        if 5 not in meeting.peer.client_hello:
            break
        sessions += 1
        meeting = offering(_again(ticket), now=now, server={"keys": other_serving_keys()})
        say_ticket(meeting)
        (next_ticket,) = tickets_of(meeting)
        ticket = msgspec.structs.replace(next_ticket, psk=kept_ticket().psk)
        now += 3_599.0
    assert now >= DAY
    assert sessions == 25


def _again(ticket: ClientTicket) -> ClientTicket:
    return msgspec.structs.replace(ticket, psk=kept_ticket().psk)


# P11.18, during and after a step


@pytest.mark.protocol("P11.18", "P5.15")
def test_a_psk_stolen_during_a_step_does_not_lead_to_the_next_epoch() -> None:
    """The thief has res[1] and both messages of the step, and plays on with what it can make of them."""
    meeting = AtServer(tickets=Box())
    meeting.hear()
    stolen = meeting.peer.log["res[1]"]
    ((_, payload),) = meeting.answered()
    response = messages.split_messages(payload)[0][1]
    for guess in (bytes(64), stolen + bytes(16)):
        thief = dict(meeting.peer.log) | {"rk[1]": stolen}
        ref.root_step(thief, 1, meeting.peer.init, response, guess)
        for name in ("base_c2s[2]", "res[2]", "rk[2]"):
            assert thief[name] != meeting.peer.log[name]
    meeting.switch()
    meeting.take(Chain(thief["base_c2s[2]"], 2, 0x0001, 1000).seal(b"\0x\x01"))
    assert code_of(meeting) == Code.DECRYPT_FAILED


@pytest.mark.protocol("P11.18", "P5.16")
def test_a_psk_stolen_before_a_step_is_of_no_use_with_the_ticket_of_after_it() -> None:
    """The new ticket lies open on the wire for who has the outer TLS; its psk is res[2]."""
    box = Box()
    meeting = AtServer(tickets=box)
    meeting.hear()
    stolen = meeting.peer.log["res[1]"]
    meeting.answered()
    meeting.switch()
    meeting.say(PING, bytes(8))
    ticket, _ = heard_ticket(meeting.hear())
    thief = AtServer(established=False, tickets=box, client={"ticket": (ticket, stolen)})
    thief.take(thief.peer.hello())
    hello, _ = thief.server.to_send()
    thief.peer.server_hello(hello)
    thief.peer.params = {3: u(1000, 4)}
    thief.take(thief.peer.flight())
    assert code_of(thief) == Code.AUTH_FAILED
    assert was_resumed(come_again(box, (earn_after_step(box)))), "the control: with its own psk it is good"


def earn_after_step(box: Box) -> tuple[bytes, bytes]:
    meeting = AtServer(tickets=box)
    meeting.hear()
    meeting.answered()
    meeting.switch()
    meeting.say(PING, bytes(8))
    return heard_ticket(meeting.hear())[0], meeting.peer.log["res[2]"]


@pytest.mark.protocol("P11.18", "P5.14", "P6.36")
def test_a_thief_between_both_ends_is_found_although_it_passes_the_real_servers_proof_on() -> None:
    """With the psk it resumes with both; the true signature is over the transcript of its own session, not ours."""
    box = Box()
    pair = Pair(server=make_server(tickets=box)).run()
    (ticket,) = [event.ticket for event in pair.client_events if isinstance(event, TicketReceived)]
    psk = bytes(ticket.psk.expose())
    to_server = come_again(box, (ticket.ticket, psk))
    assert was_resumed(to_server)
    to_server.hear()
    to_client = AtClient(ticket=ticket, server={"psk": psk})
    assert established_of(to_client).is_resumed
    ((_, payload),) = to_server.answered()
    proof = split(payload)[1]
    answer = to_client.peer.rekey_answer(to_client.init())
    to_client.say(HANDSHAKE, split(answer)[0] + proof)
    assert code_of(to_client) == Code.AUTH_FAILED


# P11.27: again, in parallel, elsewhere


@pytest.mark.protocol("P11.27", "P6.48")
def test_a_ticket_in_parallel_on_two_workers_of_a_node() -> None:
    """Both have opened it before either answers; they share the record, so one of them answers with signatures."""
    box = Box()
    ticket = earn(box)

    class Slow(Box):
        """Another worker's, with the same keys and record; while this one is at its KEM, the other answers."""

        def spend(self, ticket: bytes) -> bool:
            if not box.spent:
                assert was_resumed(come_again(box, (ticket, psk)))
            return box.spend(ticket)

    psk = ticket[1]
    slow = Slow()
    slow.states, slow.masked = box.states, box.masked
    assert not was_resumed(come_again(slow, ticket))
    assert box.spent == [ticket[0], ticket[0]]


@pytest.mark.protocol("P11.27", "P6.48", "P6.55")
def test_a_ticket_on_another_node() -> None:
    """Another node has other keys: to it the ticket is no ticket."""
    ticket = earn(Box())
    assert not was_resumed(come_again(Box(), ticket))
    assert not was_resumed(come_again(None, ticket))


@pytest.mark.protocol("P11.27", "P6.51")
@pytest.mark.parametrize(
    "carriage",
    [
        pytest.param(Carriage(1, CARRIAGE.binding, CARRIAGE.authority, b"/v1/voice/other"), id="route"),
        pytest.param(Carriage(1, CARRIAGE.binding, b"other.example.com:8443", CARRIAGE.path), id="name"),
        pytest.param(Carriage(0, b"", CARRIAGE.authority, CARRIAGE.path), id="carriage without a binding"),
    ],
)
def test_a_ticket_on_another_route_name_or_carriage(carriage: Carriage) -> None:
    box = Box()
    ticket = earn(box)
    assert not was_resumed(come_again(box, ticket, carriage=carriage, require_binding=False))
    assert was_resumed(come_again(box, ticket)), "and it is still good where it belongs"


@pytest.mark.protocol("P11.27", "P4.4")
def test_a_ticket_on_another_connection_of_the_same_kind_is_good() -> None:
    """The binding's type is bound, its value is each connection's own."""
    box = Box()
    other = Carriage(1, b"\xb2" * 32, CARRIAGE.authority, CARRIAGE.path)
    assert was_resumed(come_again(box, earn(box), carriage=other))


@pytest.mark.protocol("P11.27", "P11.12", "P11.13")
def test_a_resumed_conversation_is_bound_to_its_carriage_too() -> None:
    """The relay has two connections; client and server see different exporters."""
    box = Box()
    ticket = earn(box)
    theirs = Carriage(1, b"\xb2" * 32, CARRIAGE.authority, CARRIAGE.path)
    meeting = AtServer(established=False, tickets=box, client={"ticket": ticket, "carriage": theirs})
    meeting.take(meeting.peer.hello())
    hello, _ = meeting.server.to_send()
    meeting.peer.server_hello(hello)
    meeting.peer.params = {3: u(1000, 4)}
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P11.27", "P11.7")
def test_the_flights_of_two_resumed_sessions_swapped() -> None:
    """Of one psk even: the shares are each session's own."""
    box = Box()
    ticket = earn(box)
    box.states[b"twin"], box.masked[b"twin"] = box.states[ticket[0]], box.masked[ticket[0]]
    one, other = (
        AtServer(established=False, tickets=box, client={"ticket": (name, ticket[1])}) for name in (ticket[0], b"twin")
    )
    for meeting in (one, other):
        meeting.until_flight()
    flight = other.peer.flight()
    one.take(flight)
    assert code_of(one) == Code.AUTH_FAILED
    other.take(flight)
    assert was_resumed(other)


# P11.28: after the ticket key was replaced


@pytest.mark.protocol("P11.28", "P6.55")
def test_a_ticket_whose_key_is_gone_is_ignored() -> None:
    """The session's part of it: what the box does not open is no ticket, and a new one is given."""
    box = Box()
    ticket = earn(box)
    box.states.clear()
    meeting = come_again(box, ticket)
    assert not was_resumed(meeting)
    fresh = heard_ticket(meeting.hear())[0], meeting.peer.log["res[1]"]
    assert was_resumed(come_again(box, fresh))


@pytest.mark.protocol("P11.28", "P6.48")
def test_a_running_session_of_a_ticket_whose_key_is_gone_goes_on() -> None:
    box = Box()
    meeting = come_again(box, earn(box))
    meeting.hear()
    box.states.clear()
    meeting.say(AUDIO, b"\0x")
    assert [kind for kind, _ in meeting.answered()] == [HANDSHAKE]
    assert code_of(meeting) is None
    assert meeting.keys is serving_keys()
