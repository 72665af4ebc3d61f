"""The long form of `tests/identity/test_kills.py`, with the default configuration's limits and a handshake's time."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.identity.kills import open_storm


@pytest.mark.soak
async def test_no_signature_fails_however_often_it_is_killed_and_each_time_it_is_back_in_two_seconds(
    directory: Path, figure: Callable[[str], None]
) -> None:
    async with open_storm(directory, seed=2) as (storm, pool):
        outcome = await storm.run(faults=200, per_second=20)
        assert pool.replacements == 200
    figure(
        f"200 kills, {outcome.faults_in_flight} with a signature in flight, {len(outcome.failures)} failed,"
        f" away for at most {max(outcome.away_seconds):.2f} s"
    )
    assert outcome.failures == []
    assert outcome.faults_in_flight >= 100
    assert max(outcome.away_seconds) <= 2.0


@pytest.mark.soak
async def test_no_signature_fails_however_often_one_of_three_is_killed_or_hangs(
    three: Path, figure: Callable[[str], None]
) -> None:
    signals = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP)
    async with open_storm(three, seed=4) as (storm, _):
        outcome = await storm.run(faults=200, per_second=100, signals=signals)
    figure(
        f"150 kills and 50 stops among three tokens, {outcome.faults_in_flight} with a signature in flight,"
        f" {len(outcome.failures)} of {outcome.signed} failed, none waited for more than"
        f" {max(outcome.waited_seconds):.2f} s"
    )
    assert outcome.failures == []
    assert outcome.faults_in_flight >= 100
