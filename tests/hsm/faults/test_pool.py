"""The pool over a module that goes wrong: what callers see when a token hangs, crashes, lies or locks them out."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from sottovoce.hsm import (
    Cluster,
    HsmTimeout,
    HsmUnavailable,
    HsmWrongPin,
    ModuleUnusable,
    OperationRefused,
    TokenState,
    TokenUp,
    find_softhsm,
    open_pool,
)
from tests.hsm.conftest import THREE, PoolEvents
from tests.hsm.faults.child import GENERATE, ROUND_TRIP, Named
from tests.hsm.faults.conftest import COMMAND, ROOT
from tests.hsm.faults.shim import Board, Order
from tests.hsm.token_child import DROP_SESSIONS, SIGN, Nothing, Sign

pytestmark = pytest.mark.interop(tool="gcc")

OpenFaulty = Callable[..., AbstractAsyncContextManager[Cluster]]
PINS_REFUSED = {
    0xA0: "it is not the token's PIN",
    0xA3: "it has expired",
    0xA4: "the token has locked it",
}


@pytest.fixture
def faulty(
    three: Path, shim: Path, board: Board, pool_events: PoolEvents, monkeypatch: pytest.MonkeyPatch
) -> OpenFaulty:
    """Open tokens of `three`; the module of `a` goes wrong when it is told to, those of the others do not."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    monkeypatch.setenv("SHIM_MODULE", find_softhsm())
    monkeypatch.setenv("SHIM_BOARD", str(board.path))

    @asynccontextmanager
    async def faulty(names: str = "a", *, change_keys: bool = False, **changes: Any) -> AsyncGenerator[Cluster]:
        nodes = {name: replace(THREE.nodes[name], module=str(shim) if name == "a" else "") for name in names}
        config = replace(THREE, **{"nodes": nodes} | changes).resolved(three)
        async with open_pool(
            config, command=COMMAND, files=lambda _: {}, report=pool_events.take, change_keys=change_keys
        ) as pool:
            for name in names:
                await pool_events.ups(name, 1)
            yield pool

    return faulty


async def test_hung_in_the_token_the_caller_leaves_at_its_deadline_and_the_process_is_replaced(
    faulty: OpenFaulty, board: Board, pool_events: PoolEvents
) -> None:
    async with faulty(deadline_seconds=0.5, hang_grace_seconds=0.3) as pool:
        board.order("C_Sign", Order.HANG)
        with pytest.raises(HsmTimeout):
            await pool.call(SIGN, Sign("root"), deadline_seconds=0.2)
        assert [type(event) for event in pool_events.of("a")] == [TokenUp], "before it is given up"
        with trio.fail_after(30):
            while pool.status.nodes[0].replacements == 0:  # noqa: ASYNC110
                await trio.sleep(0.01)
        board.take_back("C_Sign")
        await sign(pool)


async def test_one_that_hangs_while_it_starts_is_given_up(faulty: OpenFaulty, board: Board) -> None:
    board.order("C_Login", Order.HANG)
    with pytest.raises(HsmUnavailable, match="did not start within 1"):
        async with faulty(start_seconds=1):
            pass


@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign", "C_OpenSession"])
async def test_crashed_the_call_only_waits(
    faulty: OpenFaulty, board: Board, pool_events: PoolEvents, function: str
) -> None:
    async with faulty() as pool:
        board.order(function, Order.CRASH, times=1)
        await pool.call(DROP_SESSIONS, Nothing(), deadline_seconds=30)  # so that a session is opened, too
        await sign(pool)
        assert board.obeyed(function) == 1
        assert pool.status.nodes[0].replacements == 1


@pytest.mark.parametrize("order", [Order.CRASH, Order.FAIL_AFTER, Order.HANG], ids=["crash", "error", "hang"])
async def test_what_must_not_be_repeated_is_done_at_most_once(faulty: OpenFaulty, board: Board, order: Order) -> None:
    limits = {"deadline_seconds": 2, "hang_grace_seconds": 1} if order is Order.HANG else {}
    async with faulty(change_keys=True, **limits) as pool:
        board.order("C_GenerateKeyPair", order, 0x30)
        with pytest.raises(HsmUnavailable, match="outcome is unknown"):
            await pool.call(GENERATE, Named("extra"), deadline_seconds=30)
        board.take_back("C_GenerateKeyPair")
        await sign(pool)
        assert board.calls("C_GenerateKeyPair") == 1


async def test_what_callers_ask_amiss_leaves_the_process_as_it_is(
    faulty: OpenFaulty, board: Board, pool_events: PoolEvents
) -> None:
    async with faulty("ab") as pool:
        board.order("C_SignInit", Order.REFUSE, 0x70)
        for _ in range(20):
            try:
                await sign(pool)
            except OperationRefused:
                continue
        assert board.obeyed("C_SignInit") > 0
        assert [node.replacements for node in pool.status.nodes] == [0, 0]


@pytest.mark.parametrize(
    ("function", "order", "code"),
    [
        ("C_Sign", Order.CORRUPT, 0),
        ("C_Sign", Order.CRASH, 0),
        ("C_Sign", Order.HANG, 0),
        ("C_SignInit", Order.REFUSE, 0x30),
        ("C_SignInit", Order.DROP_SESSIONS, 0),
        ("C_SignInit", Order.REINITIALIZE, 0),
    ],
)
async def test_of_three_one_goes_wrong_for_good_and_no_call_is_lost(
    faulty: OpenFaulty, board: Board, function: str, order: Order, code: int
) -> None:
    async with faulty("abc", deadline_seconds=1, hang_grace_seconds=0.5) as pool:
        for _ in range(5):
            await sign(pool)
        board.order(function, order, code)
        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(sign, pool)
        assert board.obeyed(function) > 0


@pytest.mark.parametrize(("code", "reason"), PINS_REFUSED.items())
async def test_a_pin_that_is_refused_is_tried_once(faulty: OpenFaulty, board: Board, code: int, reason: str) -> None:
    board.order("C_Login", Order.REFUSE, code)
    with pytest.raises(HsmWrongPin, match=f"a.pin does not open token 'sottovoce': {reason}; put the right PIN"):
        async with faulty():
            pass
    assert board.calls("C_Login") == 1


async def test_a_pin_that_is_refused_later_locks_the_token_after_one_try(
    faulty: OpenFaulty, board: Board, pool_events: PoolEvents
) -> None:
    async with faulty() as pool:
        board.order("C_Login", Order.REFUSE, 0xA0)
        await pool.call(DROP_SESSIONS, Nothing(), deadline_seconds=30)
        for _ in range(3):
            with pytest.raises(HsmWrongPin, match="put the right PIN there"):
                await sign(pool)
        assert pool.status.nodes[0].state is TokenState.LOCKED
        assert board.obeyed("C_Login") == 1


async def test_while_one_is_locked_others_go_on(faulty: OpenFaulty, board: Board) -> None:
    async with faulty("ab") as pool:
        board.order("C_Login", Order.REFUSE, 0xA0)
        board.order("C_SignInit", Order.DROP_SESSIONS)
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(sign, pool)
        assert [node.state for node in pool.status.nodes] == [TokenState.LOCKED, TokenState.UP]
        assert board.obeyed("C_Login") == 1


@pytest.mark.parametrize("code", [0xA, 0x30])
async def test_a_module_that_takes_no_locking_is_not_used(faulty: OpenFaulty, board: Board, code: int) -> None:
    """python-pkcs11 initialises without; the second call is ours."""
    board.order("C_Initialize", Order.REFUSE, code, skip=1)
    with pytest.raises(ModuleUnusable, match=f"does not take OS locking .C_Initialize: {code:#x}"):
        async with faulty():
            pass


async def test_a_module_that_does_not_initialise_is_named(faulty: OpenFaulty, board: Board) -> None:
    board.order("C_Initialize", Order.REFUSE, 0x5)
    with pytest.raises(ModuleUnusable, match=r"shim\.so does not initialise \(GeneralError\): check hsm"):
        async with faulty():
            pass


@pytest.mark.parametrize("library", ["libm.so.6", "libc.so.6"])
async def test_a_library_of_another_kind_is_no_module(faulty: OpenFaulty, library: str) -> None:
    nodes = {"a": replace(THREE.nodes["a"], module=find_library(library))}
    with pytest.raises(ModuleUnusable, match=r"so\.6 is no usable PKCS#11 library .*: set hsm\.module to the vendor's"):
        async with faulty(nodes=nodes):
            pass


async def test_the_proxy_itself_never_has_the_module(faulty: OpenFaulty) -> None:
    """Nothing forks with a vendor's library in it, and each token has a process of its own."""
    async with faulty("ab") as pool:
        await sign(pool)
        await pool.call(ROUND_TRIP, Nothing(), deadline_seconds=30)
        processes = {node.pid for node in pool.status.nodes}
        assert (len(processes), has_the_module("self")) == (2, False)
        assert all(has_the_module(str(pid)) for pid in processes)


async def sign(pool: Cluster) -> None:
    answer = await pool.call(SIGN, Sign("a root"), deadline_seconds=30)
    assert answer.public_key.verify(b"a root", answer.signature)


def find_library(name: str) -> str:
    """Give the path of a library that this process has, or could have."""
    return next(str(path) for folder in ("/lib", "/usr/lib") for path in Path(folder).rglob(name))


def has_the_module(process: str) -> bool:
    """Say whether a process has loaded SoftHSM."""
    return "softhsm" in Path(f"/proc/{process}/maps").read_text()
