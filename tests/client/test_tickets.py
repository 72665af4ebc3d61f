"""The machine's part in resumption: what it keeps, what it offers, and that it never offers less."""

from typing import Any

import pytest

from sottovoce.client import TicketStore
from sottovoce.primitives import DEFAULT_SUITES, Secret, Suite
from sottovoce.session import Identity, ServerConfig, events
from tests.client.servers import FRAME, Box, PureServer, Talk, settings
from tests.session.dialogue import Credentials


def _established(talk: Talk) -> events.Established:
    (established,) = (each for each in talk.server.events if isinstance(each, events.Established))
    return established


def _call(box: Box, store: TicketStore | None, config: ServerConfig | None = None, **options: Any) -> Talk:
    server = PureServer(tickets=box, config=config, credentials=Credentials(Identity("alice")))
    return Talk(server, settings(tickets=store, **options)).run()


@pytest.mark.protocol("P6.49")
def test_the_second_call_takes_the_first_ones_ticket() -> None:
    box, store = Box(), TicketStore()
    first = _call(box, store)
    assert not first.machine.statistics.is_resumed
    assert first.machine.statistics.tickets == 1
    assert len(store) == 1
    second = _call(box, store)
    assert second.machine.statistics.is_resumed
    assert second.machine.statistics.server_signatures == ()
    assert _established(second).is_resumed
    assert len(box.spent) == 1
    assert len(store) == 1, "the second call has brought one of its own"
    assert second.machine.send_audio(FRAME, 0.0)
    assert second.run().server.audio == [b"\0" + FRAME]


def test_without_a_store_nothing_is_kept_and_nothing_offered() -> None:
    box = Box()
    for _ in range(2):
        assert _call(box, None).machine.statistics.tickets == 1
    assert box.offered == []


@pytest.mark.protocol("P6.48")
def test_a_ticket_is_gone_once_it_was_offered_even_if_nothing_came_of_it() -> None:
    box, store = Box(), TicketStore()
    _call(box, store)
    assert len(store) == 1
    talk = Talk(PureServer(signs=False, tickets=Box()), settings(tickets=store)).run()
    assert not talk.machine.is_open, "another server ignores the ticket, and its signature never comes"
    assert len(store) == 0


@pytest.mark.protocol("P6.55")
def test_a_server_that_ignores_the_ticket_is_called_in_full() -> None:
    store = TicketStore()
    _call(Box(), store)
    other = Box()
    talk = _call(other, store)
    assert len(other.offered) == 1
    assert talk.machine.is_open
    assert talk.machine.statistics.server_signatures == ("ECDSA_P384", "MLDSA65")


@pytest.mark.protocol("P6.51", "P6.56")
@pytest.mark.parametrize(
    "changes",
    [
        {"url": "wss://localhost:8443/other"},
        {"url": "wss://localhost:8443/echo?x=1"},
        {"token": "another"},
        {"suites": (Suite.SECP384R1MLKEM1024_AES256GCM,)},
    ],
)
def test_nothing_is_offered_elsewhere_to_others_or_for_another_suite(changes: dict[str, Any]) -> None:
    box, store = Box(), TicketStore()
    config = ServerConfig(credential_kinds=(0, 1))
    _call(box, store, config, token="hunter2")
    assert len(store) == 1
    talk = _call(box, store, config, **{"token": "hunter2", **changes})
    assert talk.machine.is_open
    assert box.offered == []
    assert not talk.machine.statistics.is_resumed


def test_the_same_credential_is_known_again_though_its_token_was_wiped() -> None:
    box, store = Box(), TicketStore()
    config = ServerConfig(credential_kinds=(1,))
    first = _call(box, store, config, token="hunter2")
    assert first.server.credentials.asked == [(1, b"hunter2", b"localhost:8443", b"/v1/voice/echo")]
    second = _call(box, store, config, token="hunter2")
    assert second.machine.statistics.is_resumed
    assert second.server.credentials.asked == [], "with a ticket no credential is shown"


def test_what_a_store_holds_is_never_shown() -> None:
    box, store = Box(), TicketStore()
    _call(box, store, ServerConfig(credential_kinds=(1,)), token=Secret("mine", b"hunter2"))
    (ticket,) = box.states
    for shown in (repr(store), str(store), repr(settings(tickets=store))):
        assert ticket.hex() not in shown
        assert repr(ticket) not in shown
        assert "hunter2" not in shown


@pytest.mark.protocol("P1.19", "P11.11")
def test_with_a_ticket_or_without_the_offer_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    box, store = Box(), TicketStore()
    seen: list[tuple[object, ...]] = []
    for _ in range(3):
        talk = _call(box, store, ServerConfig(credential_kinds=(0, 1)), token="hunter2")
        session = talk.machine._session
        assert session is not None
        config, carriage = session._config, session._carriage
        seen.append((config.suites, config.anchors, config.credential.kind, carriage.binding_type))
    assert seen == [(DEFAULT_SUITES, settings().config.anchors, 1, 1)] * 3
