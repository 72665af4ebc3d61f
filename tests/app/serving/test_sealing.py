"""The seal as the proxy knows it: what runs while it is open, who is told, and what goes on the logs."""

import itertools
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.app.ledger import open_ledger
from sottovoce.app.serving.sealing import Sealing, open_keeper
from sottovoce.audit import HsmSealed, HsmUnsealed, HsmUnsealing, ShareRefused
from sottovoce.hsm import HsmConfig
from sottovoce.hsm.seal import OPEN, Effects, SealConfig, SealRefused, SealStore, ShareMalformed, State, StateUnkept
from sottovoce.observe import events
from sottovoce.primitives import Secret
from sottovoce.transport import SystemClock
from tests.app.test_ledger import FakeAudit, FakeLogger
from tests.hsm.seal.made import Made, made, typed


class House:
    """A sealing with a seal of 2 of 3, and what it says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seal: Made = made(2, 3, pins={"main": b"1234"})
        self.config = HsmConfig(seal=SealConfig(file="seal.json", state_file="state.json")).resolved(directory)
        SealStore(directory / "seal.json", directory / "state.json").create_record(self.seal.record)
        self.logger, self.audit = FakeLogger(), FakeAudit()
        self.heard: list[Effects] = []

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Sealing]:
        async with (
            open_ledger(self.logger, self.audit, {"main": "sottovoce"}) as ledger,  # type: ignore[arg-type]
            open_keeper(self.config, ledger, SystemClock()) as keeper,
        ):
            sealing = Sealing(keeper, ledger, self.logger)  # type: ignore[arg-type]
            async with sealing.followed_by(self.heard.append):
                yield sealing

    async def unseal(self, sealing: Sealing) -> None:
        for text in self.seal.texts[:2]:
            await sealing.offer(typed(text))

    @property
    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event, fields) for _, event, fields in self.logger.lines]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_without_a_seal_it_is_open_and_cannot_be_sealed(autojump_clock: trio.testing.MockClock) -> None:
    logger, audit = FakeLogger(), FakeAudit()
    async with (
        open_ledger(logger, audit, {}) as ledger,  # type: ignore[arg-type]
        open_keeper(HsmConfig(), ledger, SystemClock()) as keeper,
    ):
        sealing = Sealing(keeper, ledger, logger)  # type: ignore[arg-type]
        assert sealing.is_open
        assert sealing.effects is OPEN
        assert sealing.status is None
        async with sealing.followed_by([].append):
            for asked in (sealing.seal("x"), sealing.offer(Secret("share", b"x"))):
                with pytest.raises(SealRefused, match="there is no seal"):
                    await asked
        with trio.move_on_after(1) as limit:
            await sealing.run(trio.sleep_forever)
        assert limit.cancelled_caught
    assert logger.lines == []


async def test_what_needs_tokens_runs_while_it_is_open_and_begins_anew_each_time(house: House) -> None:
    running, begun = [0], itertools.count()
    starts: list[int] = []

    async def needing() -> None:
        starts.append(next(begun))
        running[0] += 1
        try:
            await trio.sleep_forever()
        finally:
            running[0] -= 1

    async with house.opened() as sealing, trio.open_nursery() as nursery:
        nursery.start_soon(sealing.run, needing, needing)
        for round_ in (1, 2, 3):
            await trio.testing.wait_all_tasks_blocked()
            assert running == [0]
            await house.unseal(sealing)
            await trio.testing.wait_all_tasks_blocked()
            assert running == [2]
            status = await sealing.seal("a drill")
            assert status.state is State.SEALED
            assert len(starts) == 2 * round_
        nursery.cancel_scope.cancel()
    assert [effects.lets_rekey for effects in house.heard] == [True, False] * 3


async def test_what_needs_tokens_runs_though_an_unsealing_before_was_sealed_again(house: House) -> None:
    async with house.opened() as sealing, trio.open_nursery() as nursery:
        begun = trio.Event()

        async def needing() -> None:
            begun.set()
            await trio.sleep_forever()

        nursery.start_soon(sealing.run, needing)
        await sealing.offer(typed(house.seal.texts[0]))
        await sealing.seal("no, not yet")
        await house.unseal(sealing)
        await trio.testing.wait_all_tasks_blocked()
        assert begun.is_set()
        nursery.cancel_scope.cancel()


async def test_both_logs_tell_of_each_step_and_of_what_was_no_share(house: House) -> None:
    async with house.opened() as sealing:
        with pytest.raises(ShareMalformed):
            await sealing.offer(Secret("share", b"not at all"))
        await house.unseal(sealing)
        await sealing.seal("somebody left")
        await sealing.offer(typed(house.seal.texts[0]))
        await sealing.seal("no, not yet")
    started = "the proxy was started, and has PINs in memory only"
    assert house.lines == [
        (events.HSM_SEALED, {"reason": started}),
        (events.HSM_SHARE_REFUSED, {"kind": "ShareMalformed", "reason": house.lines[1][1]["reason"]}),
        (events.HSM_UNSEALING, {"have": 1, "wanted": 2}),
        (events.HSM_UNSEALING, {"have": 2, "wanted": 2}),
        (events.HSM_UNSEALED, {}),
        (events.HSM_SEALED, {"reason": "somebody left"}),
        (events.HSM_UNSEALING, {"have": 1, "wanted": 2}),
        (events.HSM_SEALED, {"reason": "no, not yet"}),
    ]
    assert house.audit.recorded == [
        HsmSealed(reason=started),
        ShareRefused(kind="ShareMalformed"),
        HsmUnsealing(have=1, wanted=2),
        HsmUnsealing(have=2, wanted=2),
        HsmUnsealed(),
        HsmSealed(reason="somebody left"),
        HsmUnsealing(have=1, wanted=2),
        HsmSealed(reason="no, not yet"),
    ]


async def test_who_sealed_it_and_why_outlives_a_restart(house: House) -> None:
    async with house.opened() as sealing:
        await house.unseal(sealing)
        await sealing.seal("somebody left")
    async with house.opened() as sealing:
        assert sealing.status is not None
        assert (sealing.status.state, sealing.status.reason) == (State.SEALED, "somebody left")
    assert house.lines[-1] == (events.HSM_SEALED, {"reason": "somebody left"})


async def test_a_bug_in_who_is_told_is_logged_and_it_is_sealed(house: House) -> None:
    def fail(_: Effects) -> None:
        raise ZeroDivisionError

    async with house.opened() as sealing, sealing.followed_by(fail):
        await house.unseal(sealing)
        assert sealing.is_open
        assert (await sealing.seal("x")).state is State.SEALED
    assert [event for event, _ in house.lines].count(events.TASK_CRASHED) == 2


async def test_a_disk_that_keeps_no_state_is_told_and_it_is_sealed(house: House) -> None:
    async with house.opened() as sealing:
        await house.unseal(sealing)
        (house.directory / "state.json").unlink(missing_ok=True)
        (house.directory / "state.json").mkdir()
        with pytest.raises(StateUnkept):
            await sealing.seal("x")
        assert not sealing.is_open
    assert events.HSM_SEAL_STATE_LOST in [event for event, _ in house.lines]


async def test_an_unsealing_that_is_not_finished_is_told(house: House, mock_clock: trio.testing.MockClock) -> None:
    async with house.opened() as sealing:
        await sealing.offer(typed(house.seal.texts[0]))
        mock_clock.jump(901)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.autojump_threshold = 0  # the audit log takes its time
    event, fields = house.lines[-1]
    assert event == events.HSM_SEALED
    assert fields["reason"].startswith("the unsealing was given up: ")
    assert fields["have"] == 1


async def test_a_pin_that_lies_in_its_file_is_erased_at_the_start_if_it_was_sealed(house: House) -> None:
    (house.directory / "secrets").mkdir()
    pin = house.directory / "secrets/pin"
    pin.write_bytes(b"1234")
    os.utime(pin, ns=(0, 0))
    async with house.opened():
        assert not pin.exists()
    pin.mkdir()
    os.utime(pin, ns=(0, 0))
    with pytest.raises(SealRefused, match="cannot be erased"):
        async with house.opened():
            pass


async def test_a_pin_that_was_written_after_the_seal_is_nowhere_else_and_stays(house: House) -> None:
    (house.directory / "secrets").mkdir()
    pin = house.directory / "secrets/pin"
    pin.write_bytes(b"the token was given another")
    os.utime(pin, (time.time() + 60, time.time() + 60))
    with pytest.raises(SealRefused, match="is newer than the seal"):
        async with house.opened():
            pass
    assert pin.read_bytes() == b"the token was given another"
