"""Every key is forgotten at once, as where the HSM is sealed, and a new one is had when somebody runs it again."""

import trio
from trio.testing import MockClock

from sottovoce.identity import TicketKeyErased, TicketKeyFailed, TicketKeyReplaced
from tests.identity.tickets.boxes import Desk, desk_with_key
from tests.identity.tickets.test_rotation import new_desk, run_for


def test_forgotten_nothing_is_left_and_no_ticket_opens_or_is_made() -> None:
    desk = desk_with_key()
    (key,) = desk.keys
    ticket = desk.sealed()
    desk.maker.forget()
    assert key.is_erased
    assert desk.keys == []
    assert desk.open(ticket) is None
    assert not desk.box.spend(ticket)
    assert desk.seal() is None
    assert isinstance(desk.events[-1], TicketKeyErased)
    desk.maker.forget()
    assert len(desk.events) == 2, "twice is harmless"


async def test_the_next_run_gets_a_key_at_once(autojump_clock: MockClock) -> None:
    desk = new_desk()
    await desk.maker.first()
    await run_for(desk, 100)
    desk.maker.forget()
    began = trio.current_time()
    await run_for(desk, 1)
    assert trio.current_time() - began <= 1
    assert [type(event) for event in desk.events] == [TicketKeyReplaced, TicketKeyErased, TicketKeyReplaced]
    assert desk.seal() is not None


async def test_a_key_that_is_just_being_had_is_erased_as_it_comes(autojump_clock: MockClock) -> None:
    desk = Desk()
    answered = desk.token.call_on

    async def forgotten_meanwhile(*args: object, **named: object) -> object:
        answer = await answered(*args, **named)  # type: ignore[arg-type]
        desk.maker.forget()
        return answer

    desk.token.call_on = forgotten_meanwhile  # type: ignore[assignment, method-assign]
    await desk.maker.first()
    assert desk.keys == []
    assert desk.seal() is None
    assert desk.events == []
    assert all(secret.is_wiped for secret in desk.software.opened)
    assert not any(isinstance(event, TicketKeyFailed) for event in desk.events)
