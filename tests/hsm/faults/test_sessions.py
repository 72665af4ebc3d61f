"""Sessions that the token drops, a login that it forgets, keys that go: what is cured in place, and what is not."""

from pathlib import Path

import pytest

from sottovoce.hsm import (
    HsmError,
    HsmWrongPin,
    KeyMissing,
    KeyName,
    OperationRefused,
    TokenLost,
    find_softhsm,
)
from tests.hsm.faults.child import DESTROY, GENERATE, ROUND_TRIP, SIGN_WITH, Named
from tests.hsm.faults.conftest import StartProcess, TokenProcess
from tests.hsm.faults.shim import Board, Order
from tests.hsm.token_child import DROP_SESSIONS, SIGN, Nothing, Sign

pytestmark = pytest.mark.interop(tool="gcc")

LOSSES = {"sessions dropped": Order.DROP_SESSIONS, "logged out": Order.LOG_OUT, "library reset": Order.REINITIALIZE}
ROUNDS = 5


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
async def test_what_the_token_forgets_under_a_call_costs_one_login_and_no_call(
    started: StartProcess, board: Board, function: str, loss: Order
) -> None:
    async with started() as process:
        await sign_with_both(process)
        for number in range(1, ROUNDS + 1):
            board.order(function, loss, times=1)
            await process.ask(SIGN, Sign("the call that meets it"))
            await sign_with_both(process)  # the thread that did not meet it finds out too
            assert (board.obeyed(function), board.calls("C_Login")) == (number, 1 + number)
        assert (await process.counts())["logins_renewed"] == ROUNDS


@pytest.mark.parametrize("loss", [Order.DROP_SESSIONS, Order.LOG_OUT], ids=["sessions dropped", "logged out"])
async def test_a_key_that_was_never_looked_for_is_found_after_a_new_login(
    started: StartProcess, board: Board, loss: Order
) -> None:
    """Without the login its private half is invisible, which is no error of the token's."""
    async with started() as process:
        await sign_with_both(process)
        for name in (KeyName.ROOT_CA, KeyName.ISSUING_CA, KeyName.ANCHOR):
            board.order("C_FindObjectsInit", loss, times=1)
            await process.ask(SIGN_WITH, Named(name))
            board.take_back("C_FindObjectsInit")


async def test_both_threads_meet_it_at_once_and_one_logs_in(started: StartProcess, board: Board) -> None:
    async with started() as process:
        for number in range(1, 20):
            await process.ask(DROP_SESSIONS, Nothing())
            await sign_with_both(process)
            assert board.calls("C_Login") == 1 + number


async def test_no_session_is_left_over_however_often_they_are_renewed(started: StartProcess, board: Board) -> None:
    """A token's number of sessions is small, and what it says of it is not to be trusted: we count our own."""
    async with started() as process:
        await sign_with_both(process)
        assert sessions_open(board) == 3  # two threads, and the one that logged in
        for code in (0x90, 0x82, 0xB3, 0x101):
            for _ in range(ROUNDS):
                board.order("C_SignInit", Order.REFUSE, code, times=1)
                await process.ask(SIGN, Sign("a root"))
            assert sessions_open(board) == 3
        board.take_back("C_SignInit")
        for _ in range(ROUNDS):
            board.order("C_SignInit", Order.LOG_OUT, times=1)
            await sign_with_both(process)
            assert sessions_open(board) == 3


async def test_an_error_when_a_session_is_closed_hides_nothing(started: StartProcess, board: Board) -> None:
    async with started() as process:
        board.order("C_CloseSession", Order.REFUSE, 0x30)
        board.order("C_SignInit", Order.REFUSE, 0x90, times=1)
        await process.ask(SIGN, Sign("a root"))
        assert board.obeyed("C_CloseSession") == 1
        board.order("C_SignInit", Order.REFUSE, 0x82)
        with pytest.raises(TokenLost, match="ObjectHandleInvalid"):
            await process.ask(SIGN, Sign("a root"))


@pytest.mark.parametrize(("code", "reason"), [(0xA0, "it is not the token's PIN"), (0xA4, "the token has locked it")])
async def test_a_pin_that_is_refused_later_is_tried_once(
    started: StartProcess, board: Board, code: int, reason: str
) -> None:
    async with started() as process:
        await sign_with_both(process)
        board.order("C_Login", Order.REFUSE, code)
        await process.ask(DROP_SESSIONS, Nothing())
        for answer in await process.ask_each(SIGN, [Sign("a root")] * 8):
            assert isinstance(answer, HsmWrongPin)
            assert reason in str(answer)
        assert board.obeyed("C_Login") == 1


async def test_a_pin_file_that_has_gone_is_a_lost_token(started: StartProcess, board: Board, directory: Path) -> None:
    """The call goes to another token; the next process tells the operator."""
    async with started() as process:
        await sign_with_both(process)
        (directory / "secrets/pin").unlink()
        await process.ask(DROP_SESSIONS, Nothing())
        with pytest.raises(TokenLost, match="secrets/pin cannot be read"):
            await process.ask(SIGN, Sign("a root"))
        assert board.calls("C_Login") == 1


async def test_a_token_that_is_logged_in_already_is_no_error(started: StartProcess, board: Board) -> None:
    """Some libraries share a login among processes; and one that forgets less than it says lets us in again."""
    board.order("C_Login", Order.FAIL_AFTER, 0x100)
    async with started() as process:
        await sign_with_both(process)
        board.order("C_SignInit", Order.REFUSE, 0x101, times=1)
        await process.ask(SIGN, Sign("a root"))
        assert board.calls("C_Login") == 2


async def test_a_token_taken_away_is_lost_for_this_process_and_found_by_the_next(
    started: StartProcess, directory: Path
) -> None:
    """Opening a session and asking about the token go well all the time; only keys tell."""
    async with started() as process:
        await sign_with_both(process)
        tokens = directory / "hsm/tokens"
        tokens.rename(directory / "away")
        for name in (KeyName.SERVING, KeyName.ROOT_CA):  # one that is known, and one never looked for
            with pytest.raises(TokenLost):
                await process.ask(SIGN_WITH, Named(name))
        (directory / "away").rename(tokens)
        with pytest.raises(TokenLost):  # SoftHSM does not look again
            await process.ask(SIGN_WITH, Named(KeyName.SERVING))
    async with started() as process:
        await sign_with_both(process)


async def test_a_key_that_never_was_fails_its_calls_and_one_that_went_the_process(
    started: StartProcess, directory: Path
) -> None:
    async with started(change_keys=True) as process, started(change_keys=True, module=find_softhsm()) as other:
        await process.ask(GENERATE, Named("extra"))
        for answer in await process.ask_each(SIGN_WITH, [Named("no-such-key")] * 4):
            assert isinstance(answer, KeyMissing)
        for answer in await process.ask_each(SIGN_WITH, [Named("extra")] * 8):
            assert not isinstance(answer, HsmError), answer
        await other.ask(DESTROY, Named("extra"))
        with pytest.raises(TokenLost, match="has no key extra"):
            await process.ask(SIGN_WITH, Named("extra"))
        await sign_with_both(process)


async def test_a_key_that_the_process_destroyed_itself_is_just_missing(started: StartProcess) -> None:
    async with started(change_keys=True) as process:
        await process.ask(GENERATE, Named("extra"))
        await process.ask_each(SIGN_WITH, [Named("extra")] * 8)
        await process.ask(DESTROY, Named("extra"))
        for answer in await process.ask_each(SIGN_WITH, [Named("extra")] * 4):
            assert isinstance(answer, KeyMissing), answer


async def test_keys_are_not_made_or_destroyed_where_that_is_not_allowed(started: StartProcess) -> None:
    async with started() as process:
        with pytest.raises(OperationRefused, match="SessionReadOnly"):
            await process.ask(GENERATE, Named(KeyName.SERVING))
        with pytest.raises(OperationRefused, match="SessionReadOnly"):
            await process.ask(DESTROY, Named(KeyName.SERVING))
        await process.ask(ROUND_TRIP, Nothing())
        await sign_with_both(process)


async def sign_with_both(process: TokenProcess) -> None:
    """Have both threads work."""
    texts = [f"root {number}" for number in range(6)]
    for answer in await process.ask_each(SIGN, [Sign(text) for text in texts]):
        assert not isinstance(answer, HsmError), answer
        assert any(answer.public_key.verify(text.encode(), answer.signature) for text in texts)


def sessions_open(board: Board) -> int:
    return board.succeeded("C_OpenSession") - board.succeeded("C_CloseSession")
