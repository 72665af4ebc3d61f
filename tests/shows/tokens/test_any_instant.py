"""Three tokens behind a real proxy, one of which is killed, hangs, is taken away or forgets all, at any instant.

No call fails, no signature is wrong, and none comes from elsewhere than a token: once each way in the suite, twenty
times by `make soak`, at 100 new calls a second or as many as this machine does.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.hsm import HsmConfig
from tests.running import environment, running_proxy
from tests.shows.tokens.account import Account, Failover
from tests.shows.tokens.faults import Fault, Faults
from tests.shows.tokens.load import WANTED_PER_SECOND, calls_to
from tests.shows.tokens.records import RECORDS, Made, Records

pytestmark = pytest.mark.interop(tool="softhsm2-util")
BACK_SECONDS = 3.0
KILL_SECONDS = 0.05
_FEW_PER_SECOND = 10
_CALLS_BEFORE, _CALLS_AFTER = 20, 20


class Outcome:
    """What came of a run."""

    def __init__(self, faults: list[Fault], account: Account, per_second: float, cost_seconds: float) -> None:
        self.faults = faults
        self.account = account
        self.cost_seconds = cost_seconds
        """What a call costs of a processor's time, all processes together."""
        self.per_second = per_second
        """New calls, as many as came about."""

    @property
    def by_kind(self) -> dict[str, list[Fault]]:
        return {
            kind: [each for each in self.faults if each.kind == kind]
            for kind in dict.fromkeys(f.kind for f in self.faults)
        }


async def harmed(directory: Path, *, rounds: int, in_flight: int, per_second: float | None) -> Outcome:
    """Do each kind of harm so often while calls come, as many a second as the machine does where no number is given."""
    records = Records(directory.with_name("records"))
    records.folder.mkdir()
    variables = environment(**{RECORDS: str(records.folder)})
    with running_proxy(directory, env=variables, program="tests.shows.tokens.serving") as proxy:
        faults = Faults(proxy, records, seed=rounds)
        await faults.all_up()
        async with calls_to(proxy, records) as load:
            rate = per_second or await load.most()
            load.call(rate)
            await load.until(len(records.of(Made)) + _CALLS_BEFORE)
            before = records.of(Made)[-1]
            count = len(records.of(Made))
            await faults.run(rounds=rounds, in_flight=in_flight)
            await load.until(len(records.of(Made)) + _CALLS_AFTER)
            made = records.of(Made)
            reached = (len(made) - count) / (made[-1].ended_at - before.ended_at)
    return Outcome(faults.done, Account(records, directory), reached, load.cost_seconds)


def see_that_none_noticed(outcome: Outcome) -> None:
    """No call failed, and clients saw what token processes have signed, neither more nor less."""
    assert outcome.account.failures == {}
    assert len(outcome.account.verified) == len(outcome.account.calls)
    roots = outcome.account.roots()
    assert roots.counted - roots.second == roots.seen > 0


async def test_no_call_notices_what_happens_to_one_of_three_tokens(three: Path) -> None:
    outcome = await harmed(three, rounds=1, in_flight=1, per_second=_FEW_PER_SECOND)
    see_that_none_noticed(outcome)
    assert all(any(each.in_flight for each in faults) for faults in outcome.by_kind.values())
    assert len(outcome.by_kind) == 4


@pytest.mark.soak
async def test_no_call_notices_eighty_faults_of_one_of_three_tokens(three: Path, figure: Callable[[str], None]) -> None:
    outcome = await harmed(three, rounds=20, in_flight=10, per_second=None)
    account = outcome.account
    failovers: dict[str, Failover] = {}
    figure(
        f"{outcome.per_second:.0f} new calls a second of {WANTED_PER_SECOND} that were wanted: a call took"
        f" {1000 * outcome.cost_seconds:.1f} ms of a processor, so {os.cpu_count()} hold"
        f" {(os.cpu_count() or 1) / outcome.cost_seconds:.0f} if they do nothing else"
    )
    for kind, faults in outcome.by_kind.items():
        found = [account.failover(each) for each in faults]
        failover = failovers[kind] = Failover(
            sum(each.batches for each in found),
            max(each.asked_seconds for each in found),
            max(each.signed_seconds for each in found),
        )
        met = sum(each.in_flight > 0 for each in faults)
        figure(
            f"{len(faults)} times {kind}, {met} with a signature in flight: {failover.batches} batches went to another"
            f" token, which was asked after {1000 * failover.asked_seconds:.0f} ms and had signed after"
            f" {1000 * failover.signed_seconds:.0f} ms at most; the slowest call took"
            f" {account.slowest_call(faults):.2f} s; the token was back after {_away(faults):.2f} s"
        )
    figure(f"{len(account.calls)} calls, {account.failures.total()} failed")
    see_that_none_noticed(outcome)
    roots = account.roots()
    figure(f"{roots.counted} roots signed, {roots.second} of them second answers, {roots.seen} seen by clients")
    assert failovers["killed"].asked_seconds <= KILL_SECONDS
    assert failovers["stopped"].asked_seconds <= HsmConfig().deadline_seconds
    for kind, faults in outcome.by_kind.items():
        assert len(faults) >= 20, kind
        assert sum(each.in_flight > 0 for each in faults) >= 10, kind
        assert _away(faults) <= BACK_SECONDS, kind


def _away(faults: list[Fault]) -> float:
    return max(each.away_seconds for each in faults)
