"""Keys come and go, on a virtual clock."""

from typing import Never

import msgspec
import pytest
import trio
from trio.testing import MockClock

from sottovoce.hsm import ONLY_NODE, HsmUnavailable, TokenLost
from sottovoce.identity import TicketKeyErased, TicketKeyFailed, TicketKeyReplaced
from sottovoce.identity.tickets import OpenTicketKey
from sottovoce.primitives import Secret
from tests.identity.tickets.boxes import AUTHORITY, HOUR, PATH, Desk, HandClock, SoftwareToken, state_of
from tests.pki.fake_token import FakePool, SteppedClock

DOWN = HsmUnavailable("the token is down: gone")


class TrioClock(HandClock):
    """Both clocks are Trio's."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = SteppedClock()

    def now(self) -> float:
        return self._clock.now()

    def wall(self) -> float:
        return self._clock.wall()


def new_desk() -> Desk:
    return Desk(TrioClock())


async def run_for(desk: Desk, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await desk.maker.run()


@pytest.mark.protocol("P6.45")
async def test_a_key_is_replaced_within_the_hour_and_erased_when_none_of_its_tickets_can_live(
    autojump_clock: MockClock,
) -> None:
    desk = new_desk()
    await desk.maker.first()
    (old,) = desk.keys
    await run_for(desk, 2_600)
    ticket = desk.sealed()
    await run_for(desk, 500)
    new = desk.keys[-1]
    assert desk.keys == [old, new]
    assert desk.sealed()[1:9] == new.id
    await run_for(desk, 3_000)
    assert not old.is_erased
    assert desk.open(ticket) is not None
    assert desk.box.spend(ticket)
    await run_for(desk, 200)
    assert desk.open(ticket) is None
    await run_for(desk, 400)
    assert old.is_erased
    assert not desk.box.spend(ticket)
    assert TicketKeyErased(old.id.hex(), sealed=1, spent=1) in desk.events
    replaced = [event for event in desk.events if isinstance(event, TicketKeyReplaced)]
    assert [event.key for event in replaced[:2]] == [old.id.hex(), new.id.hex()]
    assert autojump_clock.current_time() == pytest.approx(6_700, abs=1)


async def test_for_a_day_there_are_three_keys_at_most_and_none_seals_longer_than_an_hour(
    autojump_clock: MockClock,
) -> None:
    desk = new_desk()
    await desk.maker.first()
    sealing: dict[bytes, list[float]] = {}
    for _ in range(24 * 12):
        await run_for(desk, 300)
        sealing.setdefault(desk.sealed()[1:9], []).append(autojump_clock.current_time())
        assert len(desk.keys) <= 3
    assert all(times[-1] - times[0] < HOUR for times in sealing.values())
    assert len(sealing) >= 24
    assert sum(isinstance(event, TicketKeyErased) for event in desk.events) >= len(sealing) - 3


async def test_what_the_token_gave_is_wiped_when_the_key_is_made(autojump_clock: MockClock) -> None:
    desk = new_desk()
    await desk.maker.first()
    await run_for(desk, HOUR)
    assert len(desk.software.opened) == 2
    assert all(secret.is_wiped for secret in desk.software.opened)
    assert all(isinstance(secret, Secret) for secret in desk.software.opened)


async def test_a_key_without_tickets_goes_as_soon_as_it_is_replaced(autojump_clock: MockClock) -> None:
    desk = new_desk()
    await desk.maker.first()
    await run_for(desk, 3_100)
    assert len(desk.keys) == 1
    assert [type(event) for event in desk.events] == [TicketKeyReplaced, TicketKeyReplaced, TicketKeyErased]


async def test_while_the_hsm_is_down_the_old_key_seals_out_its_hour_and_opens_on(autojump_clock: MockClock) -> None:
    desk = new_desk()
    await desk.maker.first()
    (key,) = desk.keys
    desk.software.failure = DOWN
    await run_for(desk, HOUR - 1)
    ticket = desk.sealed()
    await run_for(desk, 2)
    assert desk.seal() is None
    assert desk.open(ticket) is not None
    await run_for(desk, HOUR - 100)
    assert desk.open(ticket) is not None
    await run_for(desk, 200)
    assert desk.open(ticket) is None
    assert key.is_erased
    assert desk.keys == []
    failed = [event for event in desk.events if isinstance(event, TicketKeyFailed)]
    assert failed == [
        TicketKeyFailed("the token is down: gone", 1.0, seals=True),
        TicketKeyFailed("the token is down: gone", 60.0, seals=False),
    ]
    desk.software.failure = None
    await run_for(desk, 61)
    assert desk.open(desk.sealed()) is not None


async def test_a_start_without_a_key_is_told_once_and_made_good_later(autojump_clock: MockClock) -> None:
    desk = new_desk()
    desk.software.failure = DOWN
    await desk.maker.first()
    assert desk.events == [TicketKeyFailed("the token is down: gone", 1.0, seals=False)]
    await run_for(desk, 600)
    assert len(desk.events) == 1
    assert 10 <= len(desk.token.asked) <= 20
    assert desk.seal() is None
    desk.software.failure = None
    await run_for(desk, 61)
    assert desk.seal() is not None


async def test_a_key_that_does_not_open_is_not_used(autojump_clock: MockClock) -> None:
    desk = new_desk()
    desk.software.fails_to_open = True
    await desk.maker.first()
    assert desk.keys == []
    assert desk.events == [TicketKeyFailed("not so", 1.0, seals=False)]


async def test_a_token_that_hangs_costs_the_start_ten_seconds(autojump_clock: MockClock) -> None:
    desk = new_desk()
    desk.token.answering[ONLY_NODE] = _never
    await desk.maker.first()
    assert autojump_clock.current_time() == pytest.approx(10)
    assert desk.events == [TicketKeyFailed("no answer to new_ticket_key", 1.0, seals=False)]


async def test_each_key_is_made_and_opened_by_one_node_and_outlives_it(autojump_clock: MockClock) -> None:
    first, second = SoftwareToken(), SoftwareToken()
    pool = FakePool({"a": first.answer, "b": second.answer})
    desk = Desk(TrioClock(), pool)
    await desk.maker.first()
    ticket = desk.sealed()
    pool.down = {"a"}
    await run_for(desk, 3_001)
    assert pool.asked_nodes == ["a", "a", "b", "b"]
    assert (len(first.opened), len(second.opened)) == (1, 1)
    assert [type(event) for event in desk.events] == [TicketKeyReplaced, TicketKeyReplaced]
    for each in (ticket, desk.sealed()):
        assert desk.open(each) is not None
    assert autojump_clock.current_time() == pytest.approx(3_001, abs=1)


async def test_a_node_that_goes_before_it_opens_its_key_costs_one_more_try(autojump_clock: MockClock) -> None:
    dying, other = SoftwareToken(), SoftwareToken()

    async def makes_and_dies(question: msgspec.Struct) -> msgspec.Struct:
        if isinstance(question, OpenTicketKey):
            raise TokenLost("gone")
        return await dying.answer(question)

    desk = Desk(TrioClock(), FakePool({"a": makes_and_dies, "b": other.answer}))
    await desk.maker.first()
    assert [type(event) for event in desk.events] == [TicketKeyFailed]
    assert desk.token.asked_nodes == ["a", "a"], "no other node can open it"
    await run_for(desk, 5)
    assert [type(event) for event in desk.events] == [TicketKeyFailed, TicketKeyReplaced]
    assert len(other.opened) == 1
    assert autojump_clock.current_time() < 20


async def _never(_: object) -> Never:
    await trio.sleep_forever()
    raise AssertionError


async def test_a_key_id_that_is_in_use_is_refused(autojump_clock: MockClock) -> None:
    desk = new_desk()
    desk.software.fixed_serial = bytes(16)
    await desk.maker.first()
    ticket = desk.sealed()
    await run_for(desk, 3_001)
    assert len(desk.keys) == 1
    assert desk.open(ticket) is not None
    (failed,) = [event for event in desk.events if isinstance(event, TicketKeyFailed)]
    assert failed.reason == "the token process gave a new ticket key the id of one that is in use"
    assert len(desk.software.opened) == 1


@pytest.mark.protocol("P11.28")
async def test_after_rotation_and_a_lifetime_no_ticket_of_the_old_key_opens(autojump_clock: MockClock) -> None:
    desk = new_desk()
    await desk.maker.first()
    tickets = [desk.sealed() for _ in range(5)]
    assert desk.box.spend(tickets[0])
    await run_for(desk, 3_100)
    assert [desk.box.spend(ticket) for ticket in tickets[:2]] == [False, True]
    await run_for(desk, 3_600)
    for ticket in tickets:
        assert desk.open(ticket) is None
        assert not desk.box.spend(ticket)


@pytest.mark.protocol("P6.46")
async def test_key_and_record_of_used_tickets_go_together(autojump_clock: MockClock) -> None:
    """Nothing survives a restart: the new box has neither, so a ticket that was spent does not come back to life."""
    desk = new_desk()
    await desk.maker.first()
    ticket = desk.sealed()
    assert desk.box.spend(ticket)
    (key,) = desk.keys
    record = desk.record_of(key)
    desk.maker.close()
    assert key.is_erased
    assert not record.has_room()
    restarted = new_desk()
    restarted.software.kek = desk.software.kek
    await restarted.maker.first()
    assert restarted.open(ticket) is None


async def test_suspended_it_seals_and_opens_nothing_that_is_too_old(autojump_clock: MockClock) -> None:
    """`run` sleeps on a clock that stands still in suspend; the box does not."""
    desk = Desk()
    await desk.maker.first()
    ticket = desk.sealed()
    desk.clock.pass_by(10 * HOUR)
    assert desk.seal() is None
    assert desk.box.open(ticket, AUTHORITY, PATH, desk.clock.wall()) is None
    await run_for(desk, 61)
    assert desk.seal(state_of(desk.clock)) is not None
    assert len(desk.keys) == 1


@pytest.mark.parametrize("milliseconds", [0, 25, 50, 75, 100, 125])
async def test_cancelled_at_any_moment_it_has_a_key_and_told_so_or_neither(
    milliseconds: int, autojump_clock: MockClock
) -> None:
    desk = new_desk()
    with trio.move_on_after(milliseconds / 1000):
        await desk.maker.first()
    assert len(desk.events) == len(desk.keys)
    assert desk.token.in_flight == 0
    assert all(secret.is_wiped for secret in desk.software.opened)
    await desk.maker.first()
    assert desk.seal() is not None


async def test_closed_while_a_key_is_made_it_keeps_none(autojump_clock: MockClock) -> None:
    desk = new_desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.maker.first)
        await trio.sleep(0.07)
        desk.maker.close()
    assert desk.keys == []
    assert desk.events == []
    assert desk.seal() is None
    assert all(secret.is_wiped for secret in desk.software.opened)
