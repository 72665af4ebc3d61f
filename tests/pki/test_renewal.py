"""When certificates are renewed, on a virtual clock and a wall clock that a test sets."""

import pytest
import trio
from trio.testing import MockClock

from sottovoce.pki import PkiError, Validity
from sottovoce.pki.renewal import Keeper, attempt, due_at, renew_for_ever
from sottovoce.primitives import SottovoceError
from tests.pki.fake_token import FixedEntropy, SteppedClock

DAY = 86_400.0


class Renewals:
    """Makes validities that begin now, or fails; notes when."""

    def __init__(self, clock: SteppedClock, life: float = DAY) -> None:
        self.clock = clock
        self.life = life
        self.at: list[float] = []
        self.failures: list[tuple[str, float]] = []
        self.fail_next = 0

    def validity(self) -> Validity:
        wall = self.clock.wall()
        return Validity(wall, wall + self.life)

    async def renew(self) -> Validity:
        await trio.lowlevel.checkpoint()
        if self.fail_next:
            self.fail_next -= 1
            raise PkiError("the token is down")
        self.at.append(self.clock.now())
        return self.validity()

    def failed(self, error: SottovoceError, retry_seconds: float) -> None:
        self.failures.append((str(error), retry_seconds))


async def watched(
    renewals: Renewals,
    seconds: float,
    entropy: FixedEntropy | None = None,
    sleeping: trio.lowlevel.ParkingLot | None = None,
) -> None:
    with trio.move_on_after(seconds):
        await renew_for_ever(
            renewals.validity(),
            renewals.renew,
            renewals.failed,
            renewals.clock,
            entropy or FixedEntropy(),
            trio.lowlevel.ParkingLot() if sleeping is None else sleeping,
        )


@pytest.mark.parametrize(("byte", "share"), [(0, 2 / 3), (128, 2 / 3 - 0.025), (255, 2 / 3 - 0.05)])
def test_due_at_two_thirds_of_life_with_some_of_it_by_chance(byte: int, share: float) -> None:
    assert due_at(Validity(1000.0, 1000.0 + DAY), FixedEntropy(byte)) == pytest.approx(1000 + DAY * share, abs=20)


async def test_renewed_again_and_again(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock())
    await watched(renewals, 3 * DAY)
    assert renewals.at == pytest.approx([DAY * 2 / 3 * number for number in (1, 2, 3, 4)], abs=5)
    assert autojump_clock.current_time() == pytest.approx(3 * DAY)


async def test_whoever_does_not_want_to_wait_gets_one_at_once(autojump_clock: MockClock) -> None:
    renewals, sleeping = Renewals(SteppedClock()), trio.lowlevel.ParkingLot()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched, renewals, DAY / 2, None, sleeping)
        await trio.sleep(100)
        sleeping.unpark_all()
    assert renewals.at == pytest.approx([100])


async def test_a_wall_clock_set_forward_is_seen_within_a_minute(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched, renewals, 2000.0)
        await trio.sleep(1000.0)
        renewals.clock.offset += DAY
    assert len(renewals.at) == 1
    assert 1000 <= renewals.at[0] <= 1060
    assert autojump_clock.current_time() == pytest.approx(2000)


async def test_a_wall_clock_set_back_before_the_certificate_begins_makes_it_due(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched, renewals, 2000.0)
        await trio.sleep(1000.0)
        renewals.clock.offset -= 10 * DAY
    assert len(renewals.at) == 1
    assert 1000 <= renewals.at[0] <= 1060
    assert autojump_clock.current_time() == pytest.approx(2000)


async def test_small_steps_back_change_nothing(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched, renewals, 2000.0)
        await trio.sleep(1.0)
        renewals.clock.offset -= 200
    assert renewals.at == []
    assert autojump_clock.current_time() == pytest.approx(2000)


async def test_a_failure_is_told_and_tried_again_ever_more_slowly(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock())
    renewals.fail_next = 8
    await watched(renewals, DAY)
    assert renewals.failures == [
        ("the token is down", seconds) for seconds in (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0)
    ]
    assert renewals.at == pytest.approx([DAY * 2 / 3 + 228], abs=5)
    assert autojump_clock.current_time() == pytest.approx(DAY)


async def test_a_certificate_that_is_always_due_does_not_spin(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock(), life=0.0)
    await watched(renewals, 10.5)
    assert len(renewals.at) == 10
    assert autojump_clock.current_time() == pytest.approx(10.5)


async def test_the_first_attempts_bridge_a_short_fault(autojump_clock: MockClock) -> None:
    renewals = Renewals(SteppedClock())
    renewals.fail_next = 2
    assert await attempt(renewals.renew, renewals.failed, 3) == Validity(
        renewals.clock.wall(), renewals.clock.wall() + DAY
    )
    assert autojump_clock.current_time() == pytest.approx(3.0)
    renewals.fail_next = 3
    with pytest.raises(PkiError, match="the token is down"):
        await attempt(renewals.renew, renewals.failed, 3)
    assert [seconds for _, seconds in renewals.failures] == [1.0, 2.0, 1.0, 2.0]


class KeptRenewals(Keeper):
    """A Keeper of what `Renewals` makes."""

    def __init__(self, renewals: Renewals) -> None:
        super().__init__(lambda _: None, renewals.clock, FixedEntropy())
        self.renewals = renewals

    async def _renew(self) -> Validity:
        self._validity = await self.renewals.renew()
        return self._validity


async def test_run_without_a_certificate_gets_one_at_once_and_as_often_as_it_is_run_again(
    autojump_clock: MockClock,
) -> None:
    keeper = KeptRenewals(Renewals(SteppedClock()))
    with trio.move_on_after(100):
        await keeper.run()
    assert keeper.renewals.at == [pytest.approx(0, abs=0.1)]
    with trio.move_on_after(100):
        await keeper.run()
    assert len(keeper.renewals.at) == 1, "it has one that is valid"
    await trio.sleep(2 * DAY)
    with trio.move_on_after(100):
        await keeper.run()
    assert keeper.renewals.at[1:] == [pytest.approx(2 * DAY + 200, abs=0.1)]
