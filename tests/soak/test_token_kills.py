"""The long form of `tests/identity/test_kills.py`: 200 kills, with the limits of the default configuration."""

from collections.abc import Callable

import pytest

from sottovoce.hsm import HsmConfig, TokenEvent
from tests.app.directories import OpenToken
from tests.identity.kills import Storm


@pytest.mark.soak
async def test_no_signature_fails_however_often_it_is_killed_and_each_time_it_is_back_in_two_seconds(
    opened: OpenToken, token_events: list[TokenEvent], figure: Callable[[str], None]
) -> None:
    defaults = HsmConfig()
    limits = {name: getattr(defaults, name) for name in ("deadline_seconds", "hang_grace_seconds", "start_seconds")}
    async with opened(**limits) as token:
        outcome = await Storm(token, token_events, seed=2).run(kills=200, per_second=20)
        assert token.replacements == 200
    figure(
        f"200 kills, {outcome.kills_in_flight} with a signature in flight, {len(outcome.failures)} failed,"
        f" away for at most {max(outcome.away_seconds):.2f} s"
    )
    assert outcome.failures == []
    assert outcome.kills_in_flight >= 100
    assert max(outcome.away_seconds) <= 2.0
