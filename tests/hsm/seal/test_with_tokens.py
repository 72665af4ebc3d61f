"""Three real tokens whose PINs are sealed: they serve while it is unsealed, and are gone at once when it is not."""

import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from sottovoce.hsm import Cluster, HsmConfig, TokenDown, TokenEvent, TokenState, TokenUp, open_pool
from sottovoce.hsm.reports import TokenSealed
from sottovoce.hsm.seal import (
    HsmSealed,
    SealConfig,
    SealKeeper,
    SealStore,
    State,
    erase_pin_file,
    new_seal,
    open_seal,
)
from sottovoce.primitives import Secret
from tests.hsm.conftest import COMMAND, THREE, PoolEvents, pid_of
from tests.hsm.seal.made import Made, SystemEntropy, as_text, typed
from tests.hsm.token_child import SIGN, Sign

SEALED = msgspec.structs.replace(THREE, seal=SealConfig(file="seal.json", state_file="state.json"))


def sealed_pins(directory: Path, names: str = "abc") -> Made:
    """Seal the PINs of tokens, and remove their files."""
    files = {name: Path(node.pin_file) for name, node in THREE.resolved(directory).all_nodes.items() if name in names}
    made = as_text(
        new_seal({n: Secret("PIN", file.read_bytes().strip()) for n, file in files.items()}, 2, 3, SystemEntropy())
    )
    SealStore(directory / "seal.json", directory / "state.json").create_record(made.record)
    for file in files.values():
        erase_pin_file(file)
    return made


@pytest.fixture
def seal(three: Path) -> Made:
    """The PINs of three tokens, sealed; their files are gone."""
    return sealed_pins(three)


@asynccontextmanager
async def opened(
    directory: Path, events: PoolEvents, config: HsmConfig = SEALED
) -> AsyncGenerator[tuple[SealKeeper, Cluster]]:
    store = SealStore(directory / "seal.json", directory / "state.json")
    async with (
        open_seal(store, SealConfig(), wall=lambda: 0.0, report=lambda _: None) as keeper,
        open_pool(
            config.resolved(directory), command=COMMAND, files=lambda _: {}, report=events.take, lender=keeper
        ) as pool,
    ):
        yield keeper, pool


async def unseal(keeper: SealKeeper, seal: Made) -> None:
    for text in seal.texts[1:]:
        await keeper.offer(typed(text))


async def refused(pool: Cluster) -> str:
    with pytest.raises(HsmSealed) as caught:
        await pool.call(SIGN, Sign("nobody signs"), deadline_seconds=60)
    return str(caught.value)


def kinds(events: list[TokenEvent]) -> list[type]:
    return [type(event) for event in events]


async def test_it_opens_sealed_serves_once_it_is_unsealed_and_replaces_processes(
    three: Path, seal: Made, pool_events: PoolEvents
) -> None:
    async with opened(three, pool_events) as (keeper, pool):
        assert pool.state is TokenState.SEALED
        assert {node.state for node in pool.status.nodes} == {TokenState.SEALED}
        assert "the proxy was started" in await refused(pool)
        assert kinds(pool_events.of("a")) == [TokenSealed]
        await keeper.offer(typed(seal.texts[0]))
        assert keeper.status.state is State.UNSEALING
        await refused(pool)
        await keeper.offer(typed(seal.texts[1]))
        for name in "abc":
            await pool_events.ups(name, 1)
        os.kill(pid_of(pool_events.of("a")), signal.SIGKILL)
        await pool_events.ups("a", 2)
        await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)
        assert {node.state for node in pool.status.nodes} == {TokenState.UP}


async def test_sealing_ends_processes_at_once_and_unsealing_starts_them_again(
    three: Path, seal: Made, pool_events: PoolEvents
) -> None:
    async with opened(three, pool_events) as (keeper, pool):
        for round_ in (1, 2):
            await unseal(keeper, seal)
            pids = [await pool_events.ups(name, round_) for name in "abc"]
            await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)
            endings = [os.pidfd_open(pid) for pid in pids]
            keeper.seal("a drill")
            assert pool.state is TokenState.SEALED
            assert "a drill" in await refused(pool)
            with trio.fail_after(20):  # a process that is asked to end, or not told at all, would stay
                for ending in endings:
                    await trio.lowlevel.wait_readable(ending)
                    os.close(ending)
        expected = [TokenSealed, TokenUp, TokenSealed, TokenUp, TokenSealed]
        assert [kinds(pool_events.of(name)) for name in "abc"] == [expected] * 3
        assert sum(node.replacements for node in pool.status.nodes) == 0, "nothing was lost"


async def test_what_waits_and_what_is_out_fails_when_it_is_sealed(
    three: Path, seal: Made, pool_events: PoolEvents
) -> None:
    async with opened(three, pool_events) as (keeper, pool):
        await unseal(keeper, seal)
        pids = [await pool_events.ups(name, 1) for name in "abc"]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        said: list[str] = []

        async def call() -> None:
            said.append(await refused(pool))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            assert pool.in_flight > 0
            assert pool.waiting > 0
            keeper.seal("in the middle of it")
            assert (pool.in_flight, pool.waiting) == (0, 0)
        assert len(said) == 20
        await unseal(keeper, seal)
        await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)


async def test_sealed_while_a_process_starts_none_comes_up(three: Path, seal: Made, pool_events: PoolEvents) -> None:
    async with opened(three, pool_events) as (keeper, pool):
        for _ in range(5):
            await unseal(keeper, seal)
            keeper.seal("before anything is up")
        await trio.sleep(0.2)
        assert not any(isinstance(event, TokenUp | TokenDown) for _, event in pool_events)
        await unseal(keeper, seal)
        await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)


async def test_a_call_between_sealing_and_unsealing_in_one_turn_is_answered(
    three: Path, seal: Made, pool_events: PoolEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of before is killed and not gone yet: no call may be given to it."""
    async with opened(three, pool_events) as (keeper, pool):
        await unseal(keeper, seal)
        for name in "abc":
            await pool_events.ups(name, 1)
        await keeper.settle()
        held = keeper._pins.drop
        monkeypatch.setattr(keeper._pins, "drop", lambda: None)  # so that it can be unsealed in the same turn
        keeper.seal("a blink")
        monkeypatch.setattr(keeper._pins, "drop", held)
        keeper._machine.share_counted(0.0)
        keeper._machine.share_counted(0.0)
        keeper._tell(keeper._machine.opened())
        await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)


async def test_a_token_whose_pin_was_not_sealed_stays_down_and_the_others_serve(
    three: Path, pool_events: PoolEvents
) -> None:
    seal = sealed_pins(three, "ab")
    async with opened(three, pool_events) as (keeper, pool):
        await unseal(keeper, seal)
        await pool_events.until("c", TokenDown)
        await pool_events.ups("a", 1)
        await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)
        (down,) = [event for event in pool_events.of("c") if isinstance(event, TokenDown)]
        assert down.reason == "there is no PIN for node c: it was not sealed with the others, make a new seal"


async def test_whoever_has_no_lender_opens_no_token_whose_pin_is_sealed(three: Path, pool_events: PoolEvents) -> None:
    with pytest.raises(HsmSealed, match="only a proxy that runs"):
        async with open_pool(SEALED.resolved(three), command=COMMAND, files=lambda _: {}, report=pool_events.take):
            pass
