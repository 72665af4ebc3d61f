"""The seal of a running proxy, with its real unsealer process."""

import os
import resource
import signal
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.hsm.seal import (
    HsmSealed,
    KeptState,
    SealClosed,
    SealConfig,
    SealDamaged,
    SealKeeper,
    SealOpened,
    SealRefused,
    SealStore,
    ShareCorrupt,
    ShareCounted,
    ShareForeign,
    ShareRepeated,
    State,
    StateLost,
    StateUnkept,
    UnsealingEnded,
    UnsealingFailed,
    open_seal,
)
from tests.hsm.seal.made import PINS, made, typed
from tests.transport.stepping import run_cancelled_at, sweep

SEAL = made(3, 5, seed=2)
NOW = 1_700_000_000.5
STARTED = "the proxy was started, and has PINs in memory only"


class Bench:
    """Where a seal is, and what was heard of it."""

    def __init__(self, directory: Path) -> None:
        self.store = SealStore(directory / "seal.json", directory / "seal-state.json")
        self.store.create_record(SEAL.record)
        self.heard: list[object] = []

    def opened(self, **changes: Any) -> AbstractAsyncContextManager[SealKeeper]:
        return open_seal(self.store, SealConfig(**changes), wall=lambda: NOW, report=self.heard.append)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@asynccontextmanager
async def unsealed(bench: Bench, **changes: Any) -> AsyncGenerator[SealKeeper]:
    async with bench.opened(**changes) as keeper:
        for text in SEAL.texts[:3]:
            await keeper.offer(typed(text))
        yield keeper


_OTHERS: set[str] = set()


@pytest.fixture(autouse=True)
def _of_other_tests() -> None:
    """Processes that a fixture of the whole run keeps are not ours."""
    _OTHERS.clear()
    _OTHERS.update(children())


def children() -> set[str]:
    """Ids of this test's processes, whichever thread started them."""
    every = {pid for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split()}
    return every - _OTHERS


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pin_at(keeper: SealKeeper, node: str) -> bytes:
    return os.pread(keeper.lend(node).descriptor, 1000, 0)


async def test_three_of_five_holders_unseal_it_one_after_the_other(bench: Bench) -> None:
    async with bench.opened() as keeper:
        assert (keeper.status.state, keeper.status.reason) == (State.SEALED, STARTED)
        assert keeper.effects.retry_after_seconds == 300
        with pytest.raises(HsmSealed, match=r"sealed \(the proxy was started.*\): it takes 3 shares"):
            keeper.lend("a")
        assert (await keeper.offer(typed(SEAL.texts[4]))).have == 1
        assert (await keeper.offer(typed(SEAL.texts[0]))).have == 2
        assert keeper.effects.retry_after_seconds == 300
        status = await keeper.offer(typed(SEAL.texts[2]))
        assert (status.state, status.have, status.wanted, status.count) == (State.UNSEALED, 0, 3, 5)
        assert {node: pin_at(keeper, node) for node in PINS} == PINS
        assert keeper.effects.retry_after_seconds is None
        with pytest.raises(SealRefused, match="unsealed already"):
            await keeper.offer(typed(SEAL.texts[1]))
    assert bench.heard == [ShareCounted(1, 3), ShareCounted(2, 3), ShareCounted(3, 3), SealOpened()]


async def test_each_wrong_share_says_why_and_the_others_still_count(bench: Bench) -> None:
    async with bench.opened() as keeper:
        with pytest.raises(ShareForeign):  # the very first: nothing is left of that attempt
            await keeper.offer(typed(made(seed=3).texts[0]))
        assert keeper.status.state is State.SEALED
        await keeper.offer(typed(SEAL.texts[0]))
        with pytest.raises(ShareRepeated):
            await keeper.offer(typed(SEAL.texts[0]))
        with pytest.raises(ShareCorrupt):
            await keeper.offer(typed(" ".join(reversed(SEAL.texts[1].split()))))
        assert keeper.status.have == 1
        await keeper.offer(typed(SEAL.texts[1]))
        await keeper.offer(typed(SEAL.texts[2]))
        assert keeper.status.state is State.UNSEALED


async def test_sealing_is_done_when_the_call_returns_and_in_turn_for_who_follows(bench: Bench) -> None:
    async with unsealed(bench) as keeper:
        descriptor = os.dup(keeper.lend("a").descriptor)
        seen: list[object] = []

        def follower(event: object) -> None:
            assert os.fstat(descriptor).st_size == 0
            seen.append((event, keeper.status.state, keeper.effects.lets_rekey))

        with keeper.followed_by(follower):
            keeper.seal("somebody opened\nthe case")
            assert seen == [(SealClosed("somebody opened?the case"), State.SEALED, False)]
        os.close(descriptor)
        with pytest.raises(HsmSealed, match="somebody opened"):
            keeper.lend("a")
        keeper.seal("once more")
        assert bench.heard[-1] == SealClosed("somebody opened?the case")


async def test_sealed_it_can_be_unsealed_again(bench: Bench) -> None:
    async with unsealed(bench) as keeper:
        before = keeper.places
        keeper.seal("a drill")
        for text in SEAL.texts[2:]:
            await keeper.offer(typed(text))
        assert {node: pin_at(keeper, node) for node in PINS} == PINS
        assert keeper.places == before
        with pytest.raises(HsmSealed, match="no PIN for node z: it was not sealed with the others"):
            keeper.lend("z")


async def test_the_others_hear_of_it_when_a_follower_fails(bench: Bench) -> None:
    async with unsealed(bench) as keeper:
        seen: list[object] = []

        def broken(_: object) -> None:
            raise ZeroDivisionError

        with keeper.followed_by(broken), keeper.followed_by(seen.append):
            with pytest.raises(ExceptionGroup):
                keeper.seal("a drill")
            assert seen == [SealClosed("a drill")]


async def test_the_state_is_kept_over_a_restart(bench: Bench) -> None:
    async with unsealed(bench) as keeper:
        await keeper.settle()
        assert bench.store.read_state() == KeptState(
            seal=SEAL.record.id, is_sealed=False, since=int(NOW), reason=STARTED
        )
        keeper.seal("a drill")
        await keeper.settle()
    async with bench.opened() as keeper:
        assert (keeper.status.state, keeper.status.reason) == (State.SEALED, "a drill")


async def test_what_was_unsealed_is_sealed_at_the_next_start(bench: Bench) -> None:
    async with unsealed(bench):
        pass
    assert bench.store.read_state() == KeptState(seal=SEAL.record.id, is_sealed=False, since=int(NOW), reason=STARTED)
    async with bench.opened() as keeper:
        assert (keeper.status.state, keeper.status.reason) == (State.SEALED, STARTED)


@pytest.mark.parametrize("content", ["{", '{"seal": "AAAAAAAAAAAAAAAAAAAAAA=="}'])
async def test_a_state_that_cannot_be_read_means_sealed(bench: Bench, content: str) -> None:
    bench.store.state.write_text(content)
    async with bench.opened() as keeper:
        assert keeper.status.state is State.SEALED
        assert "seal-state.json tells no state" in keeper.status.reason


async def test_the_state_of_an_earlier_seal_says_nothing(bench: Bench) -> None:
    bench.store.keep(KeptState(seal=bytes(16), is_sealed=True, since=1, reason="old"))
    async with bench.opened() as keeper:
        assert keeper.status.reason == STARTED


async def test_without_a_seal_it_does_not_open(bench: Bench) -> None:
    bench.store.record.unlink()
    with pytest.raises(SealDamaged, match="restore it from its backup"):
        async with bench.opened():
            pass


async def test_it_is_sealed_even_when_that_cannot_be_written(bench: Bench) -> None:
    async with unsealed(bench) as keeper:
        await keeper.settle()
        blocked = bench.store.state.with_name(".seal-state.json.new")
        blocked.mkdir()
        keeper.seal("the disk is full")
        with pytest.raises(HsmSealed):
            keeper.lend("a")
        with pytest.raises(StateUnkept, match="make room there"):
            await keeper.settle()
        assert isinstance(bench.heard[-1], StateLost)
        blocked.rmdir()


async def test_what_was_not_written_when_it_stops_is_written_or_told(bench: Bench) -> None:
    async with unsealed(bench) as keeper:
        await keeper.settle()
        keeper.seal("the last thing")
    state = bench.store.read_state()
    assert state is not None
    assert state.reason == "the last thing"
    bench.store.state.with_name(".seal-state.json.new").mkdir()
    async with bench.opened():
        pass
    assert isinstance(bench.heard[-1], StateLost)


async def test_the_first_share_waits_a_quarter_of_an_hour(bench: Bench, mock_clock: MockClock) -> None:
    async with bench.opened() as keeper:
        await keeper.offer(typed(SEAL.texts[0]))
        assert len(children()) == 1
        mock_clock.jump(901)
        await wait_all_tasks_blocked()
        assert keeper.status.state is State.SEALED
        assert bench.heard[-1] == UnsealingEnded(1, "the other shares did not come within 900 s")
        for text in SEAL.texts[1:4]:
            await keeper.offer(typed(text))
        assert keeper.status.state is State.UNSEALED


async def test_sealed_while_a_share_is_looked_at(bench: Bench) -> None:
    """Whatever the process had done by then: no PIN is lent, and no share is left."""
    for first in (0, 2):
        async with bench.opened() as keeper:
            for text in SEAL.texts[:first]:
                await keeper.offer(typed(text))

            async def offer(keeper: SealKeeper = keeper, text: str = SEAL.texts[first]) -> None:
                with pytest.raises(UnsealingFailed, match="sealed meanwhile"):
                    await keeper.offer(typed(text))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(offer)
                await wait_all_tasks_blocked()
                keeper.seal("stop")
            assert keeper.status.state is State.SEALED
            with pytest.raises(HsmSealed):
                keeper.lend("a")


async def test_an_unsealer_that_is_killed_costs_the_shares_that_it_had(bench: Bench) -> None:
    async with bench.opened() as keeper:
        await keeper.offer(typed(SEAL.texts[0]))
        (unsealer,) = children()
        os.kill(int(unsealer), signal.SIGKILL)
        with pytest.raises(UnsealingFailed, match="has ended: begin again"):
            await keeper.offer(typed(SEAL.texts[1]))
        assert keeper.status.state is State.SEALED
        assert isinstance(bench.heard[-1], UnsealingEnded)
        for text in SEAL.texts[:3]:
            await keeper.offer(typed(text))
        assert keeper.status.state is State.UNSEALED


async def test_an_unsealer_that_hangs_is_given_up(bench: Bench, mock_clock: MockClock) -> None:
    async with bench.opened() as keeper:
        await keeper.offer(typed(SEAL.texts[0]))
        (unsealer,) = children()
        os.kill(int(unsealer), signal.SIGSTOP)

        async def offer() -> None:
            with pytest.raises(UnsealingFailed):
                await keeper.offer(typed(SEAL.texts[1]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(offer)
            await wait_all_tasks_blocked()
            mock_clock.jump(901)
        assert keeper.status.state is State.SEALED


async def test_a_record_whose_pins_were_changed_ends_the_unsealing(bench: Bench) -> None:
    pins = SEAL.record.pins | {"b": SEAL.record.pins["a"]}
    bench.store.replace_record(msgspec.structs.replace(SEAL.record, pins=pins))
    async with bench.opened() as keeper:
        await keeper.offer(typed(SEAL.texts[0]))
        await keeper.offer(typed(SEAL.texts[1]))
        with pytest.raises(SealDamaged, match="node b's PIN does not open"):
            await keeper.offer(typed(SEAL.texts[2]))
        assert keeper.status.state is State.SEALED
        assert isinstance(bench.heard[-1], UnsealingEnded)
        with pytest.raises(HsmSealed):
            keeper.lend("a")


@pytest.mark.parametrize(("limit", "why"), [(0, "File too large"), (1, "No space left on device")])
async def test_pins_that_cannot_be_held_are_no_pins(bench: Bench, limit: int, why: str) -> None:
    async with bench.opened() as keeper:
        await keeper.settle()
        for text in SEAL.texts[:2]:
            await keeper.offer(typed(text))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(UnsealingFailed, match=rf"cannot be held in memory \({why}\)"):
                await keeper.offer(typed(SEAL.texts[2]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert keeper.status.state is State.SEALED
        assert {os.fstat(place.descriptor).st_size for place in keeper.places.values()} == {0}
        await offer_all(keeper, SEAL.texts[:3])
        assert pin_at(keeper, "a") == PINS["a"]


async def test_cancelled_at_any_step_nothing_is_left_and_it_can_be_unsealed(bench: Bench) -> None:
    before = open_files()

    async def attempt(step: int) -> bool:
        async with bench.opened() as keeper:
            first = await run_cancelled_at(step, lambda: keeper.offer(typed(SEAL.texts[0])))
            assert keeper.status.have == (not first)
            await offer_all(keeper, SEAL.texts[keeper.status.have : 2])
            stopped = await run_cancelled_at(step, lambda: keeper.offer(typed(SEAL.texts[4])))
            if stopped and keeper.status.state is not State.UNSEALED:
                await offer_all(keeper, SEAL.texts[:3])
            assert {node: pin_at(keeper, node) for node in PINS} == PINS
        return first or stopped

    assert await sweep(attempt) > 1
    assert children() == set()
    assert open_files() == before


async def offer_all(keeper: SealKeeper, texts: list[str]) -> None:
    """Give shares, those that are there already left out."""
    for text in texts:
        with suppress(ShareRepeated):
            await keeper.offer(typed(text))


async def test_no_unsealer_can_be_had(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.hsm.seal.unsealer._COMMAND", ("/nowhere/python",))
    before = open_files()
    async with bench.opened() as keeper:
        with pytest.raises(UnsealingFailed, match=r"cannot be started \(No such file or directory\)"):
            await keeper.offer(typed(SEAL.texts[0]))
        assert keeper.status.state is State.SEALED
    assert open_files() == before
