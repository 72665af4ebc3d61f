"""Protocol §6, Tickets, at our server: what the tickets that it gives out say, and how long they are good."""

from typing import Any

import pytest

from sottovoce.primitives import Suite
from sottovoce.session import Identity, SealedTicket, TicketState
from tests.session.dialogue import Box, Credentials, Serving
from tests.session.foreign_bytes import PING, split, tlvs_of
from tests.session.keys import DAY, WALL, anchor_keys, issue, other_serving_keys, serving_keys
from tests.session.meeting import AtServer, code_of
from tests.session.ticketing import come_again, earn, heard_ticket, was_resumed

ALICE = Identity("alice", kind=1, credential="token:1f0c")


@pytest.mark.protocol("P6.51")
def test_a_ticket_is_bound_to_all_that_it_has_to_be() -> None:
    box = Box()
    earn(box, client={"credential": (1, b"alice's token")}, credentials=Credentials(ALICE), credential_kinds=(1,))
    (state,) = box.states.values()
    assert (state.identity, state.suite, state.binding_type) == (ALICE, Suite.X25519MLKEM768_AES256GCM, 1)
    assert (state.authority, state.path) == (b"voice.example.com:8443", b"/v1/voice/echo?x=1")
    assert (state.certificate_not_after, state.verified_at) == (int(WALL) + DAY, WALL)
    assert state.peer_certificate_sha256 == b""
    assert state.reauthenticate_every == 1


@pytest.mark.protocol("P6.47", "P6.54", "P3.28")
@pytest.mark.parametrize(
    ("options", "lifetime"),
    [
        ({}, 3_600),
        ({"credentials": Credentials(Identity("a", expires_at=WALL + 100.5))}, 100),
        ({"serving": lambda: Serving(issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 77))}, 77),
        ({"tickets": Box(60)}, 60),
        ({"tickets": Box(7_200)}, 3_600),
    ],
)
def test_a_ticket_does_not_outlive_what_is_behind_it(options: dict[str, Any], lifetime: int) -> None:
    made: dict[str, Any] = {name: value() if callable(value) else value for name, value in options.items()}
    meeting = AtServer(tickets=made.pop("tickets", None) or Box(), **made)
    assert heard_ticket(meeting.hear())[1] == lifetime


class Closed(Box):
    """Has no key now."""

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        return None


class Wordy(Box):
    """Makes tickets that no message can carry."""

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        return SealedTicket(bytes(1025), 60)


@pytest.mark.protocol("P6.54", "P3.28")
@pytest.mark.parametrize(
    "options",
    [
        {"tickets": Closed()},
        {"tickets": Wordy()},
        {"tickets": Box(0)},
        {"tickets": Box(-1)},
        {"tickets": None},
        {"tickets": Box(), "credentials": Credentials(Identity("a", expires_at=WALL + 0.5))},
        {"tickets": Box(), "serving": lambda: Serving(issue(anchor_keys(), serving_keys(), not_after=int(WALL)))},
    ],
)
def test_where_no_ticket_is_to_be_had_none_is_sent(options: dict[str, Any]) -> None:
    made: dict[str, Any] = {name: value() if callable(value) else value for name, value in options.items()}
    meeting = AtServer(**made)
    assert meeting.hear() == []
    assert code_of(meeting) is None


@pytest.mark.protocol("P6.54", "P4.23")
def test_a_chain_of_resumed_sessions_ends_a_day_after_its_full_handshake() -> None:
    """However often it is renewed, and a step with RekeyVerify does not begin it anew at the server."""
    box = Box()
    ticket = earn(box)
    at = 0.0
    while at + 3_500 < DAY:
        at += 3_500
        meeting = come_again(box, ticket, wall=WALL + at)
        assert was_resumed(meeting)
        sealed, lifetime = heard_ticket(meeting.hear())
        assert lifetime == min(3_600, DAY - at)
        assert box.states[sealed].verified_at == WALL
        ticket = sealed, meeting.peer.log["res[1]"]
    assert not was_resumed(come_again(box, ticket, wall=WALL + DAY))


@pytest.mark.protocol("P6.54")
def test_a_ticket_of_a_later_epoch_counts_from_the_handshake() -> None:
    box = Box()
    meeting = AtServer(tickets=box, epoch_seconds=3_600)
    meeting.hear()
    meeting.now = 3_000.0
    meeting.answered()
    meeting.switch()
    meeting.say(PING, bytes(8))
    ticket, _ = heard_ticket(meeting.hear())
    assert box.states[ticket].verified_at == WALL


# The certificate of a resumed session


@pytest.mark.protocol("P6.38", "P6.37")
@pytest.mark.parametrize("is_new", [True, False])
def test_the_first_proof_of_a_resumed_session_brings_a_certificate_that_the_client_does_not_have(
    *, is_new: bool
) -> None:
    box = Box()
    ticket = earn(box)
    fresh = issue(anchor_keys(), other_serving_keys(), not_after=int(WALL) + 7 * DAY)
    meeting = come_again(box, ticket, serving=Serving(fresh if is_new else None))
    assert was_resumed(meeting)
    before = box.states[heard_ticket(meeting.hear())[0]]
    meeting.keys = other_serving_keys() if is_new else serving_keys()
    ((_, payload),) = meeting.answered()
    fields = tlvs_of(split(payload)[1][4:])
    assert fields.get(5) == (fresh if is_new else None)
    meeting.switch()
    meeting.say(PING, bytes(8))
    after = box.states[heard_ticket(meeting.hear())[0]]
    assert (before.certificate_sha384 != after.certificate_sha384) is is_new
    assert before.certificate_not_after == int(WALL) + DAY
    assert after.certificate_not_after == int(WALL) + (7 if is_new else 1) * DAY
    meeting.now += 20.0
    ((_, payload),) = meeting.answered()
    assert 5 not in tlvs_of(split(payload)[1][4:]), "once is enough"
