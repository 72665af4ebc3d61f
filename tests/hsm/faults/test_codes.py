"""Whatever code of PKCS#11 a token answers with: what becomes of the call, of the session and of the process."""

import pytest

from sottovoce.hsm import HsmError, OperationRefused, TokenLost
from sottovoce.hsm.process.faults import cure_of, error_of
from tests.hsm.faults.child import LIST_SLOTS, ROUND_TRIP
from tests.hsm.faults.conftest import StartProcess, TokenProcess
from tests.hsm.faults.shim import Board, Order
from tests.hsm.token_child import SIGN, Nothing, Sign

# C_Sign is asked for the length of a signature first.  A token that fails ends the operation, so it has to do the work.
IN_SIGNING = [("C_SignInit", Order.REFUSE, 0), ("C_Sign", Order.FAIL_AFTER, 1)]
Way = tuple[str, Order, int]
pytestmark = pytest.mark.interop(tool="gcc")

DOWN = {
    "CANCEL": 0x1,
    "HOST_MEMORY": 0x2,
    "SLOT_ID_INVALID": 0x3,
    "GENERAL_ERROR": 0x5,
    "FUNCTION_FAILED": 0x6,
    "DEVICE_ERROR": 0x30,
    "DEVICE_MEMORY": 0x31,
    "DEVICE_REMOVED": 0x32,
    "FUNCTION_CANCELED": 0x50,
    "SESSION_COUNT": 0xB1,
    "TOKEN_NOT_PRESENT": 0xE0,
    "TOKEN_NOT_RECOGNIZED": 0xE1,
    "USER_PIN_NOT_INITIALIZED": 0x102,
    "CRYPTOKI_NOT_INITIALIZED": 0x190,
    "MUTEX_BAD": 0x1A0,
    "FIPS_SELF_TEST_FAILED": 0x1C1,
    "TOKEN_RESOURCE_EXCEEDED": 0x201,
    "VENDOR_DEFINED": 0x80000001,
}
CURED = {
    "KEY_HANDLE_INVALID": 0x60,
    "OBJECT_HANDLE_INVALID": 0x82,
    "OPERATION_ACTIVE": 0x90,
    "OPERATION_NOT_INITIALIZED": 0x91,
    "SESSION_CLOSED": 0xB0,
    "SESSION_HANDLE_INVALID": 0xB3,
    "USER_NOT_LOGGED_IN": 0x101,
}
CALLERS = {
    "ARGUMENTS_BAD": 0x7,
    "ATTRIBUTE_READ_ONLY": 0x10,
    "ATTRIBUTE_SENSITIVE": 0x11,
    "ATTRIBUTE_TYPE_INVALID": 0x12,
    "ATTRIBUTE_VALUE_INVALID": 0x13,
    "ACTION_PROHIBITED": 0x1B,
    "DATA_INVALID": 0x20,
    "DATA_LEN_RANGE": 0x21,
    "ENCRYPTED_DATA_INVALID": 0x40,
    "ENCRYPTED_DATA_LEN_RANGE": 0x41,
    "FUNCTION_NOT_SUPPORTED": 0x54,
    "KEY_SIZE_RANGE": 0x62,
    "KEY_TYPE_INCONSISTENT": 0x63,
    "KEY_INDIGESTIBLE": 0x67,
    "KEY_FUNCTION_NOT_PERMITTED": 0x68,
    "KEY_NOT_WRAPPABLE": 0x69,
    "KEY_UNEXTRACTABLE": 0x6A,
    "MECHANISM_INVALID": 0x70,
    "MECHANISM_PARAM_INVALID": 0x71,
    "SESSION_READ_ONLY": 0xB5,
    "TEMPLATE_INCOMPLETE": 0xD0,
    "TEMPLATE_INCONSISTENT": 0xD1,
    "TOKEN_WRITE_PROTECTED": 0xE2,
    "WRAPPED_KEY_INVALID": 0x110,
    "RANDOM_NO_RNG": 0x121,
    "DOMAIN_PARAMS_INVALID": 0x130,
    "CURVE_NOT_SUPPORTED": 0x140,
    "FUNCTION_REJECTED": 0x200,
}


@pytest.mark.parametrize("way", IN_SIGNING, ids=lambda way: way[0])
async def test_what_the_token_refuses_to_do_costs_the_call_and_no_more(
    started: StartProcess, board: Board, way: Way
) -> None:
    async with started() as process:
        await sign(process)
        sessions = board.succeeded("C_OpenSession")
        for name, code in CALLERS.items():
            function = order_once(board, way, code)
            with pytest.raises(OperationRefused, match="the token does not do this: PKCS#11"):
                await sign(process)
            assert board.obeyed(function) == 1, name
            board.clear(function)
            await sign(process)
        assert board.succeeded("C_OpenSession") == sessions


@pytest.mark.parametrize("way", IN_SIGNING, ids=lambda way: way[0])
async def test_a_session_or_handle_of_no_use_costs_nothing_that_a_caller_sees(
    started: StartProcess, board: Board, way: Way
) -> None:
    async with started() as process:
        await sign(process)
        for name, code in CURED.items():
            before = sessions_open(board)
            function = order_once(board, way, code)
            await sign(process)
            assert board.obeyed(function) == 1, name
            board.clear(function)
            assert sessions_open(board) == before, name  # what was given up is closed
        assert (await process.counts())["sessions_renewed"] == len(CURED)


@pytest.mark.parametrize("function", ["C_OpenSession", "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal"])
async def test_a_cure_that_fails_too_is_a_lost_token(started: StartProcess, board: Board, function: str) -> None:
    async with started() as process:
        await sign(process)
        board.order("C_SignInit", Order.REFUSE, CURED["SESSION_HANDLE_INVALID"], times=1)
        board.order(function, Order.REFUSE, DOWN["DEVICE_ERROR"])
        with pytest.raises(TokenLost, match="DeviceError"):
            await sign(process)
        board.take_back(function)
        await sign(process)


async def test_a_fault_that_stays_after_the_cure_is_a_lost_token(started: StartProcess, board: Board) -> None:
    async with started() as process:
        for code in CURED.values():
            board.order("C_SignInit", Order.REFUSE, code)
            calls = board.calls("C_SignInit")
            with pytest.raises(TokenLost):
                await sign(process)
            assert board.calls("C_SignInit") == calls + 2  # once more, and no more


@pytest.mark.parametrize("way", IN_SIGNING, ids=lambda way: way[0])
async def test_all_else_is_a_lost_token_and_nothing_is_done_again(
    started: StartProcess, board: Board, way: Way
) -> None:
    async with started() as process:
        for name, code in DOWN.items():
            function, calls = order_once(board, way, code), board.calls("C_SignInit")
            with pytest.raises(TokenLost, match=r"^PKCS#11 "):
                await sign(process)
            assert (board.obeyed(function), board.calls("C_SignInit")) == (1, calls + 1), name
            board.clear(function)


@pytest.mark.parametrize("function", ["C_GenerateRandom", "C_EncryptInit", "C_Encrypt", "C_DecryptInit", "C_Decrypt"])
async def test_calls_of_our_own_end_as_those_of_the_library_do(
    started: StartProcess, board: Board, function: str
) -> None:
    expected: list[tuple[int, type[HsmError] | None]] = [
        (DOWN["DEVICE_ERROR"], TokenLost),
        (DOWN["VENDOR_DEFINED"], TokenLost),
        (CALLERS["MECHANISM_INVALID"], OperationRefused),
        (CALLERS["KEY_FUNCTION_NOT_PERMITTED"], OperationRefused),
        (CURED["SESSION_HANDLE_INVALID"], None),
        (CURED["OPERATION_ACTIVE"], None),
        (CURED["USER_NOT_LOGGED_IN"], None),
    ]
    async with started() as process:
        for code, error in expected:
            board.clear(function)
            board.order(function, Order.FAIL_AFTER, code, times=1)
            if error is None:
                await process.ask(ROUND_TRIP, Nothing())
            else:
                with pytest.raises(error):
                    await process.ask(ROUND_TRIP, Nothing())
            assert board.obeyed(function) == 1


async def test_the_table_has_the_class_that_the_library_raises_for_each_code(
    started: StartProcess, board: Board
) -> None:
    async with started() as process:
        for code in (*range(1, 0x210), DOWN["VENDOR_DEFINED"]):
            board.order("C_GetSlotList", Order.REFUSE, code)
            raised = (await process.ask(LIST_SLOTS, Nothing())).name
            error = error_of(code, "C_GetSlotList")
            assert raised == f"{type(error).__name__} {cure_of(error).name}" or raised.endswith(" OTHER_NODE"), code
            assert raised.endswith(f" {cure_of(error).name}"), code


async def test_a_wrong_signature_does_not_leave_the_process(started: StartProcess, board: Board) -> None:
    async with started() as process:
        board.order("C_Sign", Order.CORRUPT, skip=1, times=1)
        with pytest.raises(TokenLost, match="the token made a wrong signature with sottovoce-serving"):
            await sign(process)
        assert board.obeyed("C_Sign") == 1


def order_once(board: Board, way: Way, code: int) -> str:
    """Have the next signature fail with a code; give the function that does it."""
    function, order, skip = way
    board.order(function, order, code, skip=skip, times=1)
    return function


async def sign(process: TokenProcess) -> None:
    answer = await process.ask(SIGN, Sign("a root"))
    assert answer.public_key.verify(b"a root", answer.signature)


def sessions_open(board: Board) -> int:
    return board.succeeded("C_OpenSession") - board.succeeded("C_CloseSession")
