"""Protocol §6, Tickets, at our client: what it keeps of one, and how a resumed session is proved again."""

from typing import Any

import pytest

from sottovoce.primitives import Suite
from sottovoce.session import ClientTicket, LeafKind, ServerConfig, TicketReceived
from sottovoce.wire import Code
from tests.session.dialogue import Box, Pair, client_config, make_client, make_server
from tests.session.foreign_bytes import u
from tests.session.keys import (
    DAY,
    HOST,
    WALL,
    anchor_keys,
    anchor_of,
    certificate,
    issue,
    other_anchor_keys,
    other_serving_keys,
    serving_keys,
)
from tests.session.meeting import AtClient, code_of
from tests.session.ticketing import (
    kept_ticket,
    offering,
    say_ticket,
    tickets_of,
)

HYBRID, CHACHA, LARGE = (Suite(number) for number in (0x0001, 0x0002, 0x0101))


# What it keeps


@pytest.mark.protocol("P3.28", "P5.13", "P5.16", "P6.44")
def test_what_is_kept_of_a_ticket() -> None:
    meeting = AtClient(server={"t6": b"\x05"})
    meeting.now = 7.0
    say_ticket(meeting, b"opaque", 60)
    (ticket,) = tickets_of(meeting)
    assert bytes(ticket.psk.expose()) == meeting.peer.log["res[1]"]
    assert (ticket.ticket, ticket.expires_at, ticket.verified_at) == (b"opaque", 67.0, 0.0)
    assert (ticket.suite, ticket.binding_type) == (HYBRID, 1)
    assert (ticket.authority, ticket.path) == (b"voice.example.com:8443", b"/v1/voice/echo?x=1")
    assert (ticket.certificate, ticket.reauthenticate_every) == (certificate(), 5)
    assert "opaque" not in repr(ticket)
    assert str(ticket.__rich_repr__()) == "[('bytes', 6)]"


@pytest.mark.protocol("P3.28", "P6.47", "P6.50", "P10.13")
@pytest.mark.parametrize(
    ("ticket", "lifetime", "code"),
    [
        (bytes(1024), 3_600, None),
        (b"", 0, None),
        (bytes(1025), 60, Code.BAD_RECORD),
        (b"t", 3_601, Code.BAD_RECORD),
        (b"t", 0xFFFFFFFF, Code.BAD_RECORD),
    ],
)
def test_a_ticket_within_its_limits_and_without(ticket: bytes, lifetime: int, code: int | None) -> None:
    meeting = AtClient()
    say_ticket(meeting, ticket, lifetime)
    assert code_of(meeting) == code
    assert len(tickets_of(meeting)) == (0 if code else 1)


@pytest.mark.protocol("P6.50", "P10.13")
def test_a_fifth_ticket_in_an_epoch() -> None:
    meeting = AtClient()
    for number in range(4):
        say_ticket(meeting, bytes([number]))
    assert code_of(meeting) is None
    say_ticket(meeting)
    assert code_of(meeting) == Code.RATE_LIMITED
    assert len(tickets_of(meeting)) == 4


@pytest.mark.protocol("P5.16", "P5.21")
def test_the_psk_is_of_the_epoch_under_which_the_ticket_came() -> None:
    """The client sends under epoch 2 already when a ticket comes under epoch 1."""
    meeting = AtClient()
    meeting.answer()
    meeting.hear()
    say_ticket(meeting, b"one")
    meeting.switch()
    say_ticket(meeting, b"two")
    one, two = tickets_of(meeting)
    assert bytes(one.psk.expose()) == meeting.peer.log["res[1]"]
    assert bytes(two.psk.expose()) == meeting.peer.log["res[2]"]


@pytest.mark.protocol("P6.56", "P6.54")
@pytest.mark.parametrize(("every", "renewed"), [(1, True), (2, False)])
def test_a_proof_renews_what_the_client_has_verified(every: int, *, renewed: bool) -> None:
    meeting = AtClient(server={"t6": u(every, 1)})
    meeting.answer(verify=every == 1)
    meeting.hear()
    stepped_at = meeting.now
    meeting.switch()
    say_ticket(meeting)
    assert tickets_of(meeting)[0].verified_at == (stepped_at if renewed else 0.0)


@pytest.mark.protocol("P6.56", "P6.57")
def test_a_resumed_session_hands_on_what_the_full_handshake_promised() -> None:
    """Its own tag 6 was 1; the chain's was 4, and its proof is as old as it was."""
    meeting = offering(kept_ticket(reauthenticate_every=4, verified_at=-500.0), server={"t6": b"\1"})
    say_ticket(meeting)
    (ticket,) = tickets_of(meeting)
    assert (ticket.reauthenticate_every, ticket.verified_at) == (4, -500.0)
    assert ticket.certificate == certificate()


# Proofs in a resumed session


def _fresh(**changes: Any) -> bytes:
    return issue(anchor_keys(), other_serving_keys(), **({"not_after": int(WALL) + 7 * DAY} | changes))


@pytest.mark.protocol("P6.38", "P6.36", "P7.16")
@pytest.mark.parametrize(
    ("keys", "encoded", "code"),
    [
        pytest.param(serving_keys, lambda: None, None, id="the stored certificate"),
        pytest.param(other_serving_keys, lambda: None, Code.AUTH_FAILED, id="other keys than the stored one's"),
        pytest.param(other_serving_keys, _fresh, None, id="a replacement"),
        pytest.param(
            other_serving_keys,
            lambda: issue(other_anchor_keys(), other_serving_keys()),
            Code.AUTH_FAILED,
            id="of another anchor",
        ),
    ],
)
def test_the_first_proof_of_a_resumed_session_is_under_the_stored_certificate_or_its_replacement(
    keys: Any, encoded: Any, code: int | None
) -> None:
    anchors = (anchor_of(anchor_keys()), anchor_of(other_anchor_keys(), (HOST,)))
    meeting = offering(kept_ticket(), anchors=anchors)
    meeting.peer.keys = keys()
    replacement = encoded()
    meeting.answer(encoded=replacement)
    assert code_of(meeting) == code
    if code is None:
        meeting.hear()
        meeting.switch()
        say_ticket(meeting)
        assert tickets_of(meeting)[0].certificate == (replacement or certificate())


@pytest.mark.protocol("P6.39", "P6.38")
def test_the_stored_certificate_has_to_be_within_its_dates_at_the_step() -> None:
    encoded = issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 10)
    meeting = offering(kept_ticket(certificate=encoded), server={"encoded": encoded, "t2": u(1_000, 2)})
    meeting.answer()
    assert code_of(meeting) == Code.AUTH_FAILED


# Both ends are ours


@pytest.mark.protocol("P6.51", "P6.56")
@pytest.mark.parametrize("suite", list(Suite))
def test_two_ends_of_ours_come_back_with_each_suite(suite: Suite) -> None:
    """Three sessions, each with the last ticket of the one before, with steps in between."""
    box = Box()
    ticket: ClientTicket | None = None
    for turn in range(3):
        now = 1_000.0 * turn
        config = client_config(suites=(suite,), ticket=ticket)
        server = make_server(ServerConfig(suites=(suite,)), tickets=box, now=now, wall=WALL + now)
        pair = Pair(make_client(config, now=now, wall=WALL + now), server, now=now).run()
        pair.step()
        pair.voice(up=2, down=2)
        kinds = [wanted.kind for wanted in pair.wanted]
        assert kinds == [LeafKind.REKEY_VERIFY] if turn else [LeafKind.SERVER_VERIFY, LeafKind.REKEY_VERIFY]
        _, ticket = [event.ticket for event in pair.client_events if isinstance(event, TicketReceived)]
        pair.client.close(1000, pair.now)
        pair.run()
