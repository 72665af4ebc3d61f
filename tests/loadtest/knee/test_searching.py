"""The search: it finds the knee of any proxy within what was asked for, and says where it knows nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loadtest.knee.searching import Search, Verdict, judge
from loadtest.replay import Outcome
from tests.loadtest.report.outcomes import outcome, quantiles, route


def searched(knee: int, first: int, most: int, precision: float, unknown_from: int | None = None) -> tuple[Search, int]:
    search, runs = Search(first, most, precision), 0
    while (calls := search.calls) is not None:
        runs += 1
        assert 1 <= calls <= most
        if unknown_from is not None and calls >= unknown_from:
            search.tell(Verdict.NONE)
        else:
            search.tell(Verdict.HELD if calls <= knee else Verdict.MISSED)
    return search, runs


@given(st.integers(0, 3000), st.integers(1, 500), st.integers(500, 2000), st.sampled_from((0.01, 0.05, 0.2)))
def test_whatever_the_knee_it_is_found(knee: int, first: int, most: int, precision: float) -> None:
    search, runs = searched(knee, first, most, precision)
    assert search.held <= knee
    assert not search.is_open
    if knee >= most:
        assert (search.held, search.missed) == (most, None)
    else:
        assert search.missed is not None
        assert search.held <= knee < search.missed
        assert search.missed - search.held <= max(1, precision * search.held)
    assert runs < 40


@given(st.integers(1, 3000), st.integers(1, 1500))
def test_where_nothing_can_be_known_it_says_so(knee: int, unknown_from: int) -> None:
    search, _ = searched(knee, 100, 2000, 0.05, unknown_from)
    assert search.held < unknown_from
    assert search.held <= knee
    if knee >= unknown_from:
        assert search.is_open
        assert search.missed is None


def test_a_step_without_a_verdict_is_tried_again() -> None:
    search = Search(100, 2000, 0.05)
    search.tell(Verdict.NONE)
    assert search.calls == 100
    search.tell(Verdict.HELD)
    assert (search.calls, search.held) == (150, 100)
    search.tell(Verdict.NONE)
    search.tell(Verdict.NONE)
    assert search.calls == 125


def test_nobody_tells_a_search_that_is_over() -> None:
    search, _ = searched(10, 1, 20, 0.5)
    with pytest.raises(ValueError, match="over"):
        search.tell(Verdict.HELD)


def run_of(p99: float, late: float = 0.1, read: float = 0.1, **changes: object) -> Outcome:
    found = outcome(
        latency=quantiles(p99 / 2.1), lateness=quantiles(late / 2.1), reading=quantiles(read / 2.1), routes=(route(),)
    )
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("found", "verdict", "said"),
    [
        (run_of(5.0), Verdict.HELD, "p99 5.00 ms"),
        (run_of(25.0), Verdict.MISSED, "p99 25.0 ms"),
        (run_of(25.0, late=6.0, discarded="the generator was the limit"), Verdict.NONE, "the generator was the limit"),
        (run_of(60.0, late=6.0, discarded="the generator was the limit"), Verdict.MISSED, "p99 60.0 ms"),
        (run_of(5.0, late=6.0, discarded="the generator was the limit"), Verdict.NONE, "the generator was the limit"),
        (run_of(5.0, is_partial=True), Verdict.NONE, "stopped before its time"),
        (run_of(5.0, routes=(route(offered=1000, carried=990, lost=10),)), Verdict.MISSED, "1 % of the frames lost"),
        (run_of(5.0, routes=(route(calls_ended=2),)), Verdict.MISSED, "0 calls did not come about, 2 were ended"),
    ],
)
def test_what_a_run_shows(found: Outcome, verdict: Verdict, said: str) -> None:
    judgement = judge(found, 20.0)
    assert (judgement.verdict, judgement.reason) == (verdict, said)


def test_a_limit_that_was_missed_on_a_machine_that_was_not_quiet_shows_nothing() -> None:
    found = run_of(25.0)
    unquiet = replace(found, cost=replace(found.cost, proxy_waited_cores=0.4))
    judgement = judge(unquiet, 20.0)
    assert judgement.verdict is Verdict.NONE
    assert judgement.reason == "p99 25.0 ms, while others had the server's core for 40% of the time"
    held = run_of(5.0)
    assert judge(replace(held, cost=replace(held.cost, proxy_waited_cores=0.4)), 20.0).verdict is Verdict.HELD
