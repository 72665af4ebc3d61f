"""Protocol §6: an anchor that is replaced while sessions run.  Each goes on under the anchor that it began with."""

import pytest

from sottovoce.session import ClientTicket, Ended, EpochStarted, ServerConfig, TicketReceived
from sottovoce.wire import Code
from tests.session.dialogue import (
    DAY,
    WALL,
    Box,
    Pair,
    Serving,
    anchor_keys,
    client_config,
    ended,
    issue,
    make_client,
    make_server,
    other_anchor_keys,
    serving_keys,
)
from tests.session.foreign_bytes import PING, split, tlvs_of
from tests.session.meeting import AtServer, code_of

EVERY_STEP = ServerConfig(epoch_seconds=60, reauthenticate_every=1)


def successor() -> bytes:
    """What the proxy serves once its anchor was replaced: the same serving keys, under another anchor."""
    return issue(other_anchor_keys(), serving_keys())


def tickets_of(pair: Pair) -> list[ClientTicket]:
    return [event.ticket for event in pair.client_events if isinstance(event, TicketReceived)]


def is_reauthenticated(pair: Pair) -> bool:
    last = [event for event in pair.client_events if isinstance(event, EpochStarted)][-1]
    return last.reauthenticated and not any(isinstance(event, Ended) for event in pair.client_events)


@pytest.mark.protocol("P6.36", "P6.37")
def test_a_session_of_the_old_anchor_goes_on_under_its_own_certificate() -> None:
    """The client pins the old anchor alone, and nothing of the new one is ever shown to it."""
    serving = Serving()
    pair = Pair(server=make_server(EVERY_STEP, serving=serving)).run()
    serving.certificate = successor()
    for _ in range(3):
        pair.step()
        assert is_reauthenticated(pair)
    pair.voice(up=2, down=2)


@pytest.mark.protocol("P6.37", "P11.23")
def test_no_certificate_of_another_anchor_is_sent_in_a_step() -> None:
    serving = Serving()
    meeting = AtServer(serving=serving)
    serving.certificate = successor()
    ((_, payload),) = meeting.answered()
    assert 5 not in tlvs_of(split(payload)[1][4:])
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    serving.certificate = renewed = issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 7 * DAY)
    meeting.now = 20.0
    ((_, payload),) = meeting.answered()
    assert tlvs_of(split(payload)[1][4:])[5] == renewed, "one of the session's own anchor is"


@pytest.mark.protocol("P6.37", "P6.38")
def test_a_resumed_session_goes_on_under_the_certificate_of_its_ticket() -> None:
    """Of that certificate the server knows the hash alone."""
    box, serving = Box(), Serving()
    first = Pair(server=make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    client = make_client(client_config(ticket=tickets_of(first)[-1]))
    serving.certificate = issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 7 * DAY)
    pair = Pair(client, make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    assert pair.wanted == [], "resumed"
    serving.certificate = successor()
    pair.step()
    assert is_reauthenticated(pair)


@pytest.mark.protocol("P6.51", "P6.55")
def test_a_ticket_of_the_old_anchor_leads_to_a_full_handshake() -> None:
    box, serving = Box(), Serving()
    first = Pair(server=make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    serving.certificate = successor()
    first.step()
    late = tickets_of(first)[-1]
    anchors = client_config().anchors
    assert len(tickets_of(first)) == 2, "a session of the old anchor is given tickets all the same"
    pair = Pair(make_client(client_config(ticket=late)), make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    assert len(pair.wanted) == 1
    assert ended(pair.client_events).code == Code.AUTH_FAILED, "this client was not given the new anchor"
    assert len(anchors) == 1


@pytest.mark.protocol("P6.39", "P10.5")
def test_a_session_whose_certificate_has_ended_ends_where_its_anchor_was_replaced() -> None:
    """The client would have to refuse; so it hears why, and comes again with a full handshake."""
    encoded = issue(anchor_keys(), serving_keys(), not_after=int(WALL) - 270)
    serving = Serving(encoded)
    pair = Pair(server=make_server(EVERY_STEP, serving=serving)).run()
    serving.certificate = successor()
    pair.step()
    assert ended(pair.server_events).code == Code.EXPIRED
    assert ended(pair.client_events).code == Code.EXPIRED


@pytest.mark.protocol("P6.39", "P10.5")
@pytest.mark.parametrize(("now", "code"), [(20.0, None), (20.5, Code.EXPIRED)])
def test_five_minutes_are_given_to_clocks_here_too(now: float, code: Code | None) -> None:
    """As the client gives them: neither side ends what the other would have gone on with."""
    serving = Serving(issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 20 - 300))
    meeting = AtServer(serving=serving)
    serving.certificate = successor()
    meeting.now = now
    meeting.init()
    assert code_of(meeting) == code


@pytest.mark.protocol("P6.36", "P6.37")
def test_a_renewed_certificate_of_the_sessions_own_anchor_is_sent_and_proved_under() -> None:
    serving = Serving()
    pair = Pair(server=make_server(EVERY_STEP, serving=serving)).run()
    for days in (7, 8):
        serving.certificate = issue(anchor_keys(), serving_keys(), not_after=int(WALL) + days * DAY)
        pair.step()
        assert is_reauthenticated(pair)
    serving.certificate = successor()
    pair.step()
    assert is_reauthenticated(pair), "under the last one that was sent"


@pytest.mark.protocol("P6.39")
def test_a_step_without_proof_asks_for_no_certificate() -> None:
    encoded = issue(anchor_keys(), serving_keys(), not_after=int(WALL) - 270)
    serving = Serving(encoded)
    config = ServerConfig(epoch_seconds=60, reauthenticate_every=0)
    pair = Pair(server=make_server(config, serving=serving)).run()
    serving.certificate = successor()
    pair.step()
    pair.voice(up=1, down=1)
