"""What a state means for calls."""

import pytest

from sottovoce.hsm.seal import OPEN, Effects, SealConfig, State, effects_of


@pytest.mark.parametrize("state", [State.SEALED, State.UNSEALING])
def test_sealed_no_call_begins_and_none_gets_another_epoch(state: State) -> None:
    assert effects_of(state, SealConfig()) == Effects(300, lets_rekey=False, ends_calls=False)


def test_sealed_calls_end_at_once_where_it_is_configured() -> None:
    config = SealConfig(running_calls="at-once", retry_after_seconds=60)
    assert effects_of(State.SEALED, config) == Effects(60, lets_rekey=False, ends_calls=True)


def test_unsealed_everything_is_as_ever() -> None:
    assert effects_of(State.UNSEALED, SealConfig(running_calls="at-once")) is OPEN
    assert OPEN.retry_after_seconds is None
