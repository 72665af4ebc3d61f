"""Many sessions of one token at once, which python-pkcs11 as it comes does not survive; then with faults among them."""

import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import trio

from sottovoce.hsm import Start, find_softhsm
from sottovoce.hsm.softhsm import refresh_configuration
from tests.hsm.conftest import PATIENT
from tests.hsm.faults.conftest import ROOT
from tests.hsm.faults.many_child import Made, Many
from tests.hsm.faults.shim import Board, Order

pytestmark = pytest.mark.interop(tool="gcc")

THREADS = 16
SESSIONS = THREADS + 2
"""One for each thread, the one that logged in, and one that looks at what came of it."""
MILLION = 1_000_000
CURABLE = (0x60, 0x82, 0x90, 0x91, 0xB0, 0xB3, 0x101)
RunMany = Callable[[int, float], Awaitable[Made]]


@pytest.fixture
def run_many(directory: Path, shim: Path, board: Board) -> RunMany:
    """Have that many signatures made by each of the threads, for so long; give what the process printed."""
    config = PATIENT.resolved(directory)
    refresh_configuration(Path(config.softhsm_config))
    environment = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
        "SOFTHSM2_CONF": config.softhsm_config,
        "SHIM_MODULE": find_softhsm(),
        "SHIM_BOARD": str(board.path),
    }

    async def run_many(signatures: int, seconds: float) -> Made:
        start = Start(str(shim), config.token, config.pin_file, create=False, files={})
        work = msgspec.json.encode(Many(start, THREADS, signatures, seconds)).decode()
        command = [sys.executable, str(Path(__file__).with_name("many_child.py")), work]
        done = await trio.run_process(command, capture_stdout=True, env=os.environ | environment)
        return msgspec.json.decode(done.stdout, type=Made)

    return run_many


async def test_sixteen_sessions_at_once_sign_rightly(run_many: RunMany, board: Board) -> None:
    made = await run_many(25, 0)
    assert made.failed == {}
    assert {"sessions_renewed", "logins_renewed"}.isdisjoint(made.renewed)
    assert made.signed >= THREADS * 25
    assert board.succeeded("C_OpenSession") == SESSIONS


@pytest.mark.soak
async def test_sixteen_sessions_for_a_minute(run_many: RunMany, board: Board, figure: Callable[[str], None]) -> None:
    made = await run_many(1, 60)
    assert made.failed == {}
    assert {"sessions_renewed", "logins_renewed"}.isdisjoint(made.renewed)
    assert board.succeeded("C_OpenSession") == SESSIONS
    figure(f"{made.signed} signatures by {THREADS} sessions, every one right")


async def test_sixteen_sessions_among_faults_of_one_session_each(run_many: RunMany, board: Board) -> None:
    await survive(run_many, board, 50, 0, seed=1)


@pytest.mark.soak
async def test_a_million_signatures_among_faults(
    run_many: RunMany, board: Board, figure: Callable[[str], None]
) -> None:
    made = await survive(run_many, board, MILLION // THREADS, 0, seed=2)
    growth = made.late.rss_kib / made.early.rss_kib - 1
    figure(
        f"{made.signed} signatures, {made.renewed['sessions_renewed']} sessions and "
        f"{made.renewed['logins_renewed']} logins renewed, {sum(made.failed.values())} calls left to the pool; "
        f"descriptors, threads, objects as they were, memory {growth:+.1%}"
    )
    assert growth < 0.05


async def survive(run_many: RunMany, board: Board, signatures: int, seconds: float, *, seed: int) -> Made:
    """Have sessions and logins go while all sign: none is left over, and all but a few signatures are made."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(do_harm, board, random.Random(seed))  # noqa: S311  instants of faults
        made = await run_many(signatures, seconds)
        nursery.cancel_scope.cancel()
    # A call that meets two faults in a row is the pool's to save, by another process or another token.
    assert all(name.startswith("TokenLost: PKCS#11") for name in made.failed), made.failed
    assert 100 * sum(made.failed.values()) < made.signed
    assert made.renewed["sessions_renewed"] > 0
    assert board.succeeded("C_OpenSession") - board.succeeded("C_CloseSession") == SESSIONS
    assert (made.late.objects, made.late.descriptors, made.late.threads) == (
        made.early.objects,
        made.early.descriptors,
        made.early.threads,
    )
    return made


async def do_harm(board: Board, chance: random.Random) -> None:
    """Spoil one call in some hundred, and more rarely log all out."""
    while True:
        for _ in range(5):
            await spoil(board, chance, Order.REFUSE, chance.choice(CURABLE))
        await spoil(board, chance, Order.LOG_OUT)


async def spoil(board: Board, chance: random.Random, order: Order, code: int = 0) -> None:
    before = board.obeyed("C_SignInit")
    board.order("C_SignInit", order, code, skip=chance.randint(10, 200), times=1)
    while board.obeyed("C_SignInit") == before:  # noqa: ASYNC110  what the board counts has no event
        await trio.sleep(0.005)
