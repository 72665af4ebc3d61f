"""Token processes are killed and stopped while handshakes and re-authentications want signatures: none fails."""

import signal
from pathlib import Path

from tests.identity.kills import open_storm

PATIENT = {"patience_seconds": 60, "start_seconds": 60}
"""A busy machine is no fault."""


async def test_no_signature_fails_while_the_token_process_is_killed(directory: Path) -> None:
    async with open_storm(directory, seed=1, deadline_seconds=30, hang_grace_seconds=30, **PATIENT) as (storm, pool):
        outcome = await storm.run(faults=20, per_second=20)
        assert pool.replacements == 20
    assert outcome.failures == []
    assert outcome.faults_in_flight >= 10
    assert outcome.signed >= 20
    assert set(outcome.roots) == {"main"}


async def test_no_signature_fails_while_one_of_three_is_killed_or_hangs(three: Path) -> None:
    signals = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP)
    async with open_storm(three, seed=3, **PATIENT) as (storm, _):
        outcome = await storm.run(faults=12, per_second=50, signals=signals)
    assert outcome.failures == []
    assert outcome.faults_in_flight >= 6
    assert outcome.signed >= 100
    assert len(outcome.roots) > 1
