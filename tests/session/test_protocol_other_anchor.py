"""Protocol §6: an anchor that is replaced while sessions run.  Each goes on under the anchor that it began with."""

import pytest

from sottovoce.session import ClientTicket, Ended, EpochStarted, ServerConfig, TicketReceived
from sottovoce.wire import Code
from tests.session.dialogue import Box, Pair, Serving, client_config, ended, make_client, make_server
from tests.session.foreign_bytes import PING, split, tlvs_of
from tests.session.keys import DAY, WALL, anchor_keys, anchor_of, issue, other_anchor_keys, serving_keys
from tests.session.meeting import AtServer

EVERY_STEP = ServerConfig(epoch_seconds=60, reauthenticate_every=1)


def successor() -> bytes:
    """What the proxy serves once its anchor was replaced: the same serving keys, under another anchor."""
    return issue(other_anchor_keys(), serving_keys())


def withdraw_the_old_anchor(serving: Serving) -> None:
    """Its last certificate has ended."""
    del serving.of_anchor[anchor_of(anchor_keys()).anchor_id]


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
def test_a_resumed_session_goes_on_under_what_is_kept_of_its_anchor() -> None:
    box, serving = Box(), Serving()
    first = Pair(server=make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    client = make_client(client_config(ticket=tickets_of(first)[-1]))
    serving.certificate = issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 7 * DAY)
    pair = Pair(client, make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    assert pair.wanted == [], "resumed"
    serving.certificate = successor()
    for _ in range(2):
        pair.step()
        assert is_reauthenticated(pair)


@pytest.mark.protocol("P6.51", "P6.55")
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_ticket_of_the_old_anchor_is_good_as_long_as_that_is_served(*, is_kept: bool) -> None:
    box, serving = Box(), Serving()
    first = Pair(server=make_server(EVERY_STEP, serving=serving, tickets=box)).run()
    serving.certificate = successor()
    first.step()
    assert len(tickets_of(first)) == 2, "a session of the old anchor is given tickets all the same"
    if not is_kept:
        withdraw_the_old_anchor(serving)
    client = make_client(client_config(ticket=tickets_of(first)[-1]), now=first.now)
    server = make_server(EVERY_STEP, serving=serving, tickets=box, now=first.now)
    pair = Pair(client, server, now=first.now).run()
    assert len(pair.wanted) == (0 if is_kept else 1)
    if is_kept:
        pair.step()
        assert is_reauthenticated(pair)
    else:
        assert ended(pair.client_events).code == Code.AUTH_FAILED, "this client was not given the new anchor"


@pytest.mark.protocol("P6.39", "P10.5")
def test_a_session_ends_where_its_anchor_was_replaced_and_its_certificates_have_ended() -> None:
    """There is nothing that the client could take; so it hears why, and comes again with a full handshake."""
    serving = Serving()
    pair = Pair(server=make_server(EVERY_STEP, serving=serving)).run()
    serving.certificate = successor()
    withdraw_the_old_anchor(serving)
    pair.step()
    assert ended(pair.server_events).code == Code.EXPIRED
    assert ended(pair.client_events).code == Code.EXPIRED
    assert len(pair.wanted) == 1, "nobody was asked to sign"


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
    serving = Serving()
    config = ServerConfig(epoch_seconds=60, reauthenticate_every=0)
    pair = Pair(server=make_server(config, serving=serving)).run()
    serving.certificate = successor()
    withdraw_the_old_anchor(serving)
    pair.step()
    pair.voice(up=1, down=1)
