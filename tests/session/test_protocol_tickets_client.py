"""Protocol §6, Tickets, at our client: when it offers one, and what it takes from a server that accepts it."""

import itertools
from typing import Any

import pytest

from sottovoce.primitives import Secret, Suite
from sottovoce.session import Carriage, ClientTicket, Credential
from sottovoce.wire import Code
from tests.session.dialogue import CARRIAGE, replacing
from tests.session.foreign_bytes import message, u, with_tlv
from tests.session.keys import DAY, WALL, anchor_keys, anchor_of, certificate, issue, other_anchor_keys, serving_keys
from tests.session.meeting import AtClient, code_of
from tests.session.ticketing import (
    PSK,
    TICKET,
    established_of,
    kept_ticket,
    offering,
)

HYBRID, CHACHA, LARGE = (Suite(number) for number in (0x0001, 0x0002, 0x0101))


def offered_by(ticket: ClientTicket, **options: Any) -> AtClient:
    """Our client with a ticket, before anything was answered; its ClientHello is `peer.client_hello`."""
    return AtClient(established=False, ticket=ticket, **options)


# When it is offered


@pytest.mark.protocol("P3.2", "P6.44", "P6.56")
@pytest.mark.parametrize("value", [TICKET, b"", bytes(1024)])
def test_a_ticket_is_offered_as_it_came(value: bytes) -> None:
    assert offered_by(kept_ticket(ticket=value)).peer.client_hello[5] == value


def unfit() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What is changed in the ticket, and what in the client that is given it."""
    early = issue(anchor_keys(), serving_keys(), not_before=int(WALL) + 400)
    late = issue(anchor_keys(), serving_keys(), not_after=int(WALL) - 400)
    other_name = issue(anchor_keys(), serving_keys(), authorities=("other.example.com",))
    elsewhere = Carriage(1, b"\xb1" * 32, b"Voice.Example.com:443", CARRIAGE.path)
    return {
        "authority": ({"authority": b"other.example.com:8443"}, {}),
        "port": ({}, {"carriage": elsewhere}),
        "path": ({"path": b"/v1/voice/echo?x=2"}, {}),
        "binding": ({"binding_type": 0}, {}),
        "no binding": ({}, {"carriage": Carriage(0, b"", CARRIAGE.authority, CARRIAGE.path)}),
        "suite": ({"suite": Suite.X25519_AES256GCM}, {}),
        "lifetime": ({"expires_at": 100.0}, {"now": 100.0}),
        "a day": ({"expires_at": 1e9}, {"now": float(DAY)}),
        "the clock went back": ({}, {"now": -1.0}),
        "anchor": ({}, {"anchors": (anchor_of(other_anchor_keys()),)}),
        "its names": ({}, {"anchors": (anchor_of(anchor_keys(), ("other.example.com",)),)}),
        "certificate's end": ({"certificate": late}, {}),
        "certificate's beginning": ({"certificate": early}, {}),
        "certificate's names": ({"certificate": other_name}, {}),
        "certificate's signature": ({"certificate": certificate()[:-1] + b"\0"}, {}),
        "no certificate": ({"certificate": b"\x01\x00"}, {}),
        "psk": ({"psk": Secret.blank("psk", 48)}, {}),
    }


@pytest.mark.protocol("P6.56", "P1.19", "P11.11")
@pytest.mark.parametrize("name", unfit())
def test_a_ticket_that_must_not_be_offered_is_erased_and_the_offer_is_the_same_without(name: str) -> None:
    of_ticket, of_client = unfit()[name]
    ticket = kept_ticket(**of_ticket)
    hello = offered_by(ticket, **of_client).peer.client_hello
    assert 5 not in hello
    assert ticket.psk.is_wiped
    without = AtClient(established=False, **of_client).peer.client_hello
    assert {tag: hello[tag] for tag in (1, 2, 6)} == {tag: without[tag] for tag in (1, 2, 6)}
    assert hello[4][:4] == without[4][:4]


@pytest.mark.protocol("P6.56")
@pytest.mark.parametrize(
    ("of_ticket", "of_client"),
    [
        ({}, {}),
        ({"expires_at": 100.5}, {"now": 100.0}),
        ({"expires_at": 1e9}, {"now": DAY - 1.0}),
        ({}, {"anchors": (anchor_of(other_anchor_keys(), ("other.example.com",)), anchor_of(anchor_keys()))}),
        ({}, {"suites": (LARGE, HYBRID)}),
        ({"suite": CHACHA}, {"suites": (HYBRID, CHACHA)}),
    ],
)
def test_a_ticket_at_the_ends_of_its_limits_is_offered(of_ticket: dict[str, Any], of_client: dict[str, Any]) -> None:
    """The share stays that of the preferred suite."""
    hello = offered_by(kept_ticket(**of_ticket), **of_client).peer.client_hello
    assert hello[5] == TICKET
    assert hello[4][:2] == u(of_client.get("suites", (HYBRID,))[0].group, 2)


# A server that takes it


@pytest.mark.protocol("P3.4", "P3.12", "P5.2", "P5.16", "P6.49", "P6.53")
def test_a_resumed_session() -> None:
    meeting = offering(kept_ticket())
    established = established_of(meeting)
    assert established.is_resumed
    assert established.server_signatures == ()
    assert [made[0] for made in meeting.peer.client_messages] == [8, 9, 11]
    meeting.say(1, b"\0x")
    assert code_of(meeting) is None


@pytest.mark.protocol("P6.53", "P4.17")
def test_no_token_leaves_in_a_resumed_session() -> None:
    meeting = offering(kept_ticket(), credential=Credential(1, Secret("token", b"alice's token")))
    assert message(9, t1=b"\0", t2=b"") in meeting.peer.client_messages
    assert not any(b"alice" in made for made in meeting.peer.client_messages)


@pytest.mark.protocol("P6.55", "P1.19", "P11.11")
def test_a_server_that_ignores_the_ticket_gets_the_full_handshake() -> None:
    ticket = kept_ticket()
    meeting = AtClient(ticket=ticket, credential=Credential(1, Secret("token", b"alice's token")))
    assert meeting.peer.client_hello[5] == TICKET
    assert not established_of(meeting).is_resumed
    assert established_of(meeting).server_signatures == ("ECDSA_P384", "MLDSA65")
    assert message(9, t1=b"\1", t2=b"alice's token") in meeting.peer.client_messages
    assert ticket.psk.is_wiped


@pytest.mark.protocol("P5.17", "P11.41")
@pytest.mark.parametrize("how", ["accepted", "ignored", "refused", "carriage", "late", "garbage"])
def test_the_psk_is_gone_whatever_comes(how: str) -> None:
    ticket = kept_ticket()
    meeting = AtClient(established=False, ticket=ticket, server={"psk": PSK if how == "accepted" else None})
    assert not ticket.psk.is_wiped
    match how:
        case "accepted" | "ignored":
            meeting.take(meeting.peer.hello())
        case "refused":
            meeting.take(b"\0" + message(2, t1=u(1, 2), t2=u(7, 2), t3=bytes(32), t4=u(0x11EC, 2)))
        case "carriage":
            meeting.ours.carriage_ended(None)
        case "late":
            meeting.at(5.0)
        case _:
            meeting.take(b"\x05")
    assert ticket.psk.is_wiped


@pytest.mark.protocol("P3.47")
def test_a_ticket_accepted_with_another_suite_than_its_own() -> None:
    meeting = offered_by(kept_ticket(), suites=(HYBRID, CHACHA), server={"suite": 0x0002, "psk": PSK})
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == Code.BAD_RECORD
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P3.47")
def test_a_ticket_accepted_that_was_kept_back() -> None:
    """The client had one, and did not offer it."""
    meeting = offered_by(kept_ticket(expires_at=0.0), server={"psk": PSK})
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P3.4")
@pytest.mark.parametrize("value", [b"\0", b"\2", b"", b"\1\1"])
def test_accepted_is_1_and_nothing_else(value: bytes) -> None:
    edit = replacing("ServerHello", lambda made: with_tlv(made, 5, value))
    meeting = offered_by(kept_ticket(), server={"psk": PSK, "edit": edit})
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P3.12", "P3.16", "P3.33")
def test_a_resumed_flight_holds_parameters_and_finished_and_nothing_else() -> None:
    extra = [message(5, t1=certificate()), message(6, t1=b"", t2=b"", t3=bytes(98), t4=bytes(98))]
    arrangements = [
        lambda f, order=order: [(*f, *extra)[index] for index in order]
        for size in (1, 2, 3, 4)
        for order in itertools.permutations(range(4), size)
        if order != (0, 1)
    ]
    for arrange in arrangements:
        meeting = offered_by(kept_ticket(), server={"psk": PSK, "arrange": arrange})
        meeting.take(meeting.peer.hello())
        meeting.take(meeting.peer.flight())
        assert code_of(meeting) == Code.BAD_RECORD
        assert meeting.ours.to_send() == []


@pytest.mark.protocol("P3.12", "P3.33", "P6.35")
def test_a_server_that_accepts_no_ticket_has_to_prove_itself() -> None:
    """The short flight is for resumed sessions only."""
    meeting = AtClient(
        established=False, ticket=kept_ticket(), server={"arrange": lambda flight: [flight[0], flight[3]]}
    )
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P3.17", "P5.2", "P10.2")
def test_a_server_without_the_psk_is_found_at_its_flight() -> None:
    meeting = offered_by(kept_ticket(), server={"psk": bytes(48)})
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED
    edit = replacing("ServerFinished", lambda made: made[:-1] + bytes([made[-1] ^ 1]))
    wrong = offered_by(kept_ticket(), server={"psk": PSK, "edit": edit})
    wrong.take(wrong.peer.hello())
    wrong.take(wrong.peer.flight())
    assert code_of(wrong) == Code.AUTH_FAILED
    assert wrong.ours.to_send() == []


def _code_with(promised: int, **params: bytes) -> int | None:
    meeting = offered_by(kept_ticket(reauthenticate_every=promised), server={"psk": PSK} | params)
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert (code_of(meeting) is None) is bool(meeting.ours.to_send())
    return code_of(meeting)


@pytest.mark.protocol("P6.57", "P10.3")
@pytest.mark.parametrize(
    ("promised", "every", "good"),
    [
        (1, 0, False), (1, 1, True), (1, 2, False), (3, 0, False), (3, 1, True), (3, 3, True), (3, 4, False),
        (255, 255, True), (255, 0, False), (0, 0, True), (0, 1, True), (0, 255, True),
    ],
)  # fmt: skip
def test_a_resumed_session_is_not_proved_less_often(promised: int, every: int, *, good: bool) -> None:
    assert _code_with(promised, t6=u(every, 1)) == (None if good else Code.POLICY)


@pytest.mark.protocol("P6.53", "P3.48")
@pytest.mark.parametrize("kinds", [b"", b"\1", b"\0\1", b"\1\0", b"\0\0"])
def test_a_resumed_session_that_asks_for_a_credential(kinds: bytes) -> None:
    assert _code_with(1, t7=kinds) == Code.POLICY


@pytest.mark.protocol("P3.30", "P3.41", "P3.47")
@pytest.mark.parametrize("accepts", [True, False])
def test_a_ticket_and_a_hello_retry(*, accepts: bool) -> None:
    """The ticket of a session that took a retry too: the second ClientHello says it again."""
    ticket = kept_ticket(suite=LARGE)
    server = {"suite": 0x0101, "psk": PSK if accepts else None}
    meeting = offered_by(ticket, suites=(HYBRID, LARGE), server=server)
    assert meeting.peer.client_hello[4][:2] == u(0x11EC, 2)
    meeting.take(meeting.peer.retry(0x11ED))
    assert not ticket.psk.is_wiped
    meeting.peer.take_hello(meeting.ours.to_send()[0])
    assert meeting.peer.client_hello[5] == TICKET
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert established_of(meeting).is_resumed is accepts
    assert ticket.psk.is_wiped
