"""What became of each ticket is counted once, by its one reason."""

from collections import Counter

from sottovoce.identity import TicketOutcome
from tests.identity.tickets.boxes import DAY, HOUR, Desk, desk_with_key, state_of


def test_tickets_that_are_given_and_used() -> None:
    desk = desk_with_key()
    first, second = desk.sealed(), desk.sealed()
    for ticket in (first, second):
        assert desk.open(ticket) is not None
    assert [desk.box.spend(ticket) for ticket in (first, first, second)] == [True, False, True]
    assert desk.box.outcomes == Counter(
        {TicketOutcome.ISSUED: 2, TicketOutcome.USED: 2, TicketOutcome.REFUSED_USED_BEFORE: 1}
    )


def test_tickets_that_are_not_given() -> None:
    assert Desk().seal() is None
    desk = desk_with_key()
    none_yet = Desk()
    assert none_yet.seal() is None
    assert none_yet.box.outcomes == Counter({TicketOutcome.NOT_ISSUED_NO_KEY: 1})
    assert desk.seal(state_of(desk.clock, certificate_not_after=int(desk.clock.wall()) + 1)) is None
    assert desk.seal(state_of(desk.clock, authority=bytes(1_000), path=bytes(1_000))) is not None
    identity = state_of(desk.clock).identity
    assert identity is not None
    huge = state_of(desk.clock, identity=type(identity)("x" * 1_000, None, 1, "token:1f0c"))
    assert desk.seal(huge) is None
    assert desk.box.outcomes == Counter(
        {TicketOutcome.NOT_ISSUED_TOO_SHORT: 1, TicketOutcome.NOT_ISSUED_TOO_LARGE: 1, TicketOutcome.ISSUED: 1}
    )


def test_tickets_that_are_refused() -> None:
    desk = desk_with_key()
    ticket = desk.sealed()
    assert desk.open(b"none") is None
    assert desk.open(desk_with_key().sealed()) is None
    assert desk.open(ticket, path=b"/elsewhere") is None
    desk.clock.pass_by(HOUR)
    assert desk.open(ticket) is None
    assert desk.box.outcomes == Counter(
        {
            TicketOutcome.ISSUED: 1,
            TicketOutcome.REFUSED_UNKNOWN: 2,
            TicketOutcome.REFUSED_UNOPENED: 1,
            TicketOutcome.REFUSED_EXPIRED: 1,
        }
    )


def test_how_old_the_key_is() -> None:
    assert Desk().box.key_age_seconds is None
    desk = desk_with_key()
    assert desk.box.key_age_seconds == 0
    desk.clock.pass_by(DAY)
    assert desk.box.key_age_seconds == DAY
    desk.box.close()
    assert desk.box.key_age_seconds is None
