"""Three tokens at work while one after the other is harmed: once each way here, twenty times by `make soak`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.hsm import HsmConfig
from tests.hsm.conftest import OpenPool, PoolEvents
from tests.hsm.pool.signing import MadeThree, Signing
from tests.hsm.pool.storm import Storm

BACK_SECONDS = 3.0


async def test_no_signature_fails_whatever_happens_to_one_of_three(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents, three: Path
) -> None:
    async with opened_pool(deadline_seconds=1.0, hang_grace_seconds=0.5, start_seconds=60) as pool:
        storm = Storm(pool, Signing(pool, made_three), pool_events, three, seed=1)
        await storm.run(rounds=1, per_second=20)
        assert [outcome.faults for outcome in storm.outcomes.values()] == [1, 1, 1, 1]
    assert storm.failures == []


@pytest.mark.soak
async def test_no_signature_fails_in_eighty_faults_of_one_of_three_and_it_is_back_in_three_seconds(
    opened_pool: OpenPool,
    made_three: MadeThree,
    pool_events: PoolEvents,
    three: Path,
    figure: Callable[[str], None],
) -> None:
    defaults = HsmConfig()
    limits = {name: getattr(defaults, name) for name in ("deadline_seconds", "hang_grace_seconds", "start_seconds")}
    async with opened_pool(**limits) as pool:
        storm = Storm(pool, Signing(pool, made_three), pool_events, three, seed=2)
        await storm.run(rounds=20, per_second=100)
        status = pool.status
    for kind, outcome in storm.outcomes.items():
        figure(
            f"{outcome.faults} times {kind}, {outcome.in_flight} with a signature in flight: the slowest signature took"
            f" {1000 * outcome.slowest:.0f} ms, the token was away for at most {outcome.away:.2f} s"
        )
    figure(
        f"{storm.signed} signatures, {len(storm.failures)} failed; {status.hedges_won} of"
        f" {status.hedges_won + status.hedges_lost} second sendings won"
    )
    assert storm.failures == []
    assert all(outcome.in_flight >= 10 for outcome in storm.outcomes.values())
    assert {kind: outcome.away for kind, outcome in storm.outcomes.items() if outcome.away > BACK_SECONDS} == {}
