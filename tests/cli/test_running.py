import signal
from collections.abc import Generator

import pytest
import trio

from sottovoce.cli.running import run_until_told

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def heeded() -> Generator[None]:
    """Have the signals heeded, wherever the tests are run from."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def echo(word: str, number: int) -> str:
    await trio.lowlevel.checkpoint()
    return word * number


def test_it_gives_the_result() -> None:
    assert run_until_told(echo, "a", 3) == "aaa"


def test_an_error_comes_out() -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("x")

    with pytest.raises(ExceptionGroup) as caught:
        run_until_told(fail)
    assert isinstance(caught.value.exceptions[0], ValueError)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_cancels_and_what_was_begun_is_cleared_away(number: int) -> None:
    cleared: list[str] = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await trio.sleep_forever()
        finally:
            cleared.append("away")

    with pytest.raises(SystemExit) as caught:
        run_until_told(work)
    assert caught.value.code == 128 + number
    assert cleared == ["away"]


def test_a_second_ctrl_c_is_not_waited_for() -> None:
    async def stubborn() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
        finally:
            signal.raise_signal(signal.SIGINT)
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        run_until_told(stubborn)
    assert caught.group_contains(KeyboardInterrupt)


def test_what_is_ignored_stays_ignored() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)

    async def work() -> str:
        for number in SIGNALS:
            signal.raise_signal(number)
        return await echo("done", 1)

    assert run_until_told(work) == "done"


def test_afterwards_signals_mean_what_they_meant() -> None:
    run_until_told(echo, "a", 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
