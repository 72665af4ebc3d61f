import pytest
import trio
from trio.testing import MockClock

from sottovoce.hsm import CANCELLED, HsmError, HsmTimeout, HsmUnavailable
from sottovoce.hsm.reports import ANSWERED, Untimed, timed


class Heard:
    """A TokenTimes that remembers."""

    def __init__(self) -> None:
        self.took: list[tuple[str, str, str, float]] = []

    def call_took(self, node: str, operation: str, outcome: str, seconds: float) -> None:
        self.took.append((node, operation, outcome, seconds))

    def call_waited(self, node: str, seconds: float) -> None:
        raise NotImplementedError


async def test_an_answer(autojump_clock: MockClock) -> None:
    heard = Heard()
    with timed(heard, "sign_root") as timing:
        await trio.sleep(0.25)
        timing.node = "a"
    assert heard.took == [("a", "sign_root", ANSWERED, pytest.approx(0.25))]


@pytest.mark.parametrize("error", [HsmTimeout("late"), HsmUnavailable("down")])
async def test_an_error_passes_and_is_named(error: HsmError) -> None:
    heard = Heard()
    with pytest.raises(type(error)), timed(heard, "sign_root"):
        raise error
    assert [outcome for _, _, outcome, _ in heard.took] == [type(error).__name__]


async def test_a_caller_that_was_cancelled(autojump_clock: MockClock) -> None:
    heard = Heard()
    with trio.move_on_after(2), timed(heard, "sign_root"):
        await trio.sleep_forever()
    assert heard.took == [("", "sign_root", CANCELLED, pytest.approx(2))]


def test_where_nobody_wants_to_know() -> None:
    Untimed().call_took("a", "sign_root", ANSWERED, 1.0)
    Untimed().call_waited("a", 1.0)
