"""What a box seals, opens and refuses, at one moment and with clocks that are set."""

import gc
import math

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from sottovoce.primitives import Secret
from sottovoce.session import Identity, TicketState
from tests.identity.tickets.boxes import AUTHORITY, DAY, HOUR, PATH, STATES, WALL, Desk, desk_with_key, state_of

MIDNIGHT = desk_with_key()
"""A box whose clocks stand."""


@given(STATES)
def test_what_was_sealed_opens_in_its_place_only(state: TicketState) -> None:
    sealed = MIDNIGHT.box.seal(state, WALL)
    assert sealed is not None
    assert len(sealed.ticket) in {512, 1_024}
    assert 30 <= sealed.lifetime_seconds <= HOUR
    assert MIDNIGHT.open(sealed.ticket, state.authority, state.path) == state
    assert MIDNIGHT.open(sealed.ticket, state.authority + b"x", state.path) is None
    assert MIDNIGHT.open(sealed.ticket, state.authority, state.path + b"x") is None
    assert MIDNIGHT.open(sealed.ticket, state.authority[:-1], state.authority[-1:] + state.path) is None or (
        not state.authority
    )


@given(STATES)
def test_the_psk_stays_its_owners(state: TicketState) -> None:
    before = Secret("copy", state.psk.copy_for_sealing())
    sealed = MIDNIGHT.box.seal(state, WALL)
    assert sealed is not None
    assert state.psk == before
    opened = MIDNIGHT.open(sealed.ticket, state.authority, state.path)
    assert opened is not None
    opened.psk.wipe()
    assert state.psk == before


@pytest.mark.protocol("P6.44")
def test_nothing_of_it_can_be_read() -> None:
    desk = desk_with_key()
    state = state_of(desk.clock)
    first, second = desk.sealed(state), desk.sealed(state)
    for part in (state.psk.copy_for_sealing(), state.identity.name.encode(), state.anchor_id, AUTHORITY, PATH):
        assert part not in first
    same = sum(a == b for a, b in zip(first[9:], second[9:], strict=True))
    assert same < 20, "chance alone makes bytes meet"


def test_every_flipped_bit_is_refused() -> None:
    desk = desk_with_key()
    ticket = desk.sealed()
    for place in range(len(ticket) * 8):
        flipped = bytearray(ticket)
        flipped[place >> 3] ^= 1 << (place & 7)
        assert desk.open(bytes(flipped)) is None
    assert desk.open(ticket) is not None


@given(st.data())
@settings(max_examples=50)
def test_cut_and_lengthened_tickets_are_refused(data: st.DataObject) -> None:
    ticket = MIDNIGHT.sealed()
    cut = ticket[: data.draw(st.integers(0, 511))]
    longer = ticket + data.draw(st.binary(min_size=1, max_size=600) | st.just(bytes(512)))
    assert MIDNIGHT.open(cut) is None
    assert not MIDNIGHT.box.spend(cut)
    assert MIDNIGHT.open(longer) is None


@given(st.binary(max_size=1_100) | st.binary(min_size=511, max_size=511).map(lambda data: b"\x01" + data))
def test_nothing_that_a_peer_sends_raises(data: bytes) -> None:
    assert MIDNIGHT.open(data) is None
    assert not MIDNIGHT.box.spend(data)


def test_with_our_key_id_and_nothing_else_it_is_refused() -> None:
    desk = desk_with_key()
    forged = desk.sealed()[:25] + bytes(487)
    assert desk.open(forged) is None


def test_another_box_ignores_it() -> None:
    """Another node, or this one after a restart."""
    desk, other = desk_with_key(), desk_with_key()
    assert other.open(desk.sealed()) is None
    assert not other.box.spend(desk.sealed())


def test_another_box_with_the_same_key_id_ignores_it() -> None:
    desk, other = Desk(), Desk()
    for each in (desk, other):
        each.software.fixed_serial = bytes(16)
        trio.run(each.maker.first)
    assert desk.keys[0].id == other.keys[0].id
    assert other.open(desk.sealed()) is None


def test_a_ticket_is_spent_once() -> None:
    desk = desk_with_key()
    first, second = desk.sealed(), desk.sealed()
    assert [desk.box.spend(ticket) for ticket in (first, first, second, first, second)] == [
        True,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.protocol("P6.47")
def test_a_ticket_lives_an_hour_at_most() -> None:
    desk = desk_with_key()
    sealed = desk.box.seal(state_of(desk.clock), WALL)
    assert sealed is not None
    assert sealed.lifetime_seconds == HOUR
    desk.clock.pass_by(HOUR - 1)
    assert desk.open(sealed.ticket) is not None
    desk.clock.pass_by(1)
    assert desk.open(sealed.ticket) is None


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"certificate_not_after": int(WALL) + 600}, 600),
        ({"identity": Identity("alice", WALL + 77.9)}, 77),
        ({"verified_at": WALL - DAY + 100}, 100),
        ({"verified_at": WALL - DAY + 30}, 30),
        ({"verified_at": WALL - DAY + 29}, None),
        ({"verified_at": WALL - DAY}, None),
        ({"certificate_not_after": int(WALL) + 29}, None),
        ({"certificate_not_after": int(WALL) - 100}, None),
        ({"identity": Identity("alice", WALL + 29.9)}, None),
        ({"identity": Identity("alice", WALL - 1)}, None),
        ({"identity": Identity("alice", math.nan)}, None),
        ({"identity": Identity("alice", math.inf)}, HOUR),
        ({"verified_at": WALL + 59}, HOUR),
        ({"verified_at": WALL + 61}, None),
    ],
)
def test_it_ends_with_what_is_behind_it(changes: dict[str, object], seconds: int | None) -> None:
    desk = desk_with_key()
    sealed = desk.box.seal(state_of(desk.clock, **changes), WALL)
    assert (sealed and sealed.lifetime_seconds) == seconds
    if sealed is None:
        return
    desk.clock.pass_by(sealed.lifetime_seconds - 0.5)
    assert desk.open(sealed.ticket) is not None
    desk.clock.pass_by(0.5)
    assert desk.open(sealed.ticket) is None


@pytest.mark.parametrize(("set_by", "opens"), [(-61, False), (-59, True), (3_000, True), (HOUR, False), (DAY, False)])
def test_a_wall_clock_that_is_set(set_by: float, opens: bool) -> None:  # noqa: FBT001  a parameter of pytest
    desk = desk_with_key()
    ticket = desk.sealed()
    desk.clock.calendar += set_by
    assert (desk.open(ticket) is not None) == opens


@pytest.mark.protocol("P6.54")
def test_setting_the_wall_clock_back_gives_no_chain_of_tickets_more_time() -> None:
    """Each hour by an hour: the calendar stands, and the day since the last signatures goes by all the same."""
    desk = desk_with_key()
    state = state_of(desk.clock)
    hours = 0
    while (sealed := desk.box.seal(state, WALL)) is not None:
        desk.clock.monotonic += sealed.lifetime_seconds - 1
        trio.run(desk.maker.first, clock=MockClock(autojump_threshold=0))
        opened = desk.box.open(sealed.ticket, state.authority, state.path, WALL)
        assert opened is not None
        state = opened
        hours += 1
        assert hours < 50
    assert hours == DAY // HOUR


def test_setting_the_wall_clock_back_gives_no_ticket_more_time() -> None:
    desk = desk_with_key()
    ticket = desk.sealed()
    desk.clock.monotonic += HOUR
    desk.clock.calendar += 10
    assert desk.open(ticket) is None


def test_what_was_opened_too_late_is_wiped() -> None:
    desk = desk_with_key()
    ticket = desk.sealed(state_of(desk.clock, psk=Secret("res", b"\x5a" * 48)))
    desk.clock.pass_by(HOUR)
    assert desk.open(ticket) is None
    gc.collect()
    values = [each for each in gc.get_objects() if isinstance(each, Secret) and each.name == "decoded"]
    assert not any(each == Secret("planted", b"\x5a" * 48) for each in values)


def test_without_a_key_there_are_no_tickets() -> None:
    desk = Desk()
    assert desk.seal() is None
    assert desk.open(bytes(512)) is None
    assert not desk.box.spend(bytes(512))


def test_closed_it_has_no_keys_and_makes_no_tickets() -> None:
    desk = desk_with_key()
    (key,) = desk.keys
    ticket = desk.sealed()
    desk.box.close()
    desk.box.close()
    assert key.is_erased
    assert desk.seal() is None
    assert desk.open(ticket) is None
    assert not desk.box.spend(ticket)
