"""Runs: which figures are thrown away, plans that make no sense, and the echo backend called directly."""

import pytest

from loadtest.replay import Kind, Plan, Progress, Target, run_load
from loadtest.replay.errors import PlanRefused
from loadtest.replay.outcome import Quantiles
from loadtest.replay.plan import Watched
from loadtest.replay.processes.started import echo_backend
from loadtest.replay.routes import frame_milliseconds
from loadtest.replay.run import why_discarded

NOWHERE = Target(url="ws://127.0.0.1:1/", kind=Kind.OPAQUE)


@pytest.mark.parametrize(
    ("late_ms", "unread_ms", "cores", "tick_us", "is_sound"),
    [
        (2.0, 2.0, 0.95, 0, True),
        (2.1, 0.1, 0.1, 0, False),
        (2.1, 0.1, 0.1, 1000, True),
        (5.1, 0.1, 0.1, 1000, False),
        (0.1, 5.0, 0.1, 0, True),
        (0.1, 5.1, 0.1, 0, False),
        (0.1, 5.1, 0.1, 1000, False),
        (0.1, 0.1, 0.96, 0, False),
        (0.1, 0.1, None, 0, True),
    ],
)
def test_a_run_is_discarded_when_the_generator_was_the_limit(
    late_ms: float, unread_ms: float, cores: float | None, tick_us: int, *, is_sound: bool
) -> None:
    latency, late, unread = (Quantiles(count=1, p99=value) for value in (10.1, late_ms, unread_ms))
    why = why_discarded(latency, late, unread, cores, tick_us)
    assert (why is None) is is_sound
    assert why is None or why.startswith("the generator was the limit: ")
    assert why is None or ("allowed at ticks" in why) is (tick_us > 0 and late_ms > unread_ms)


def test_what_was_read_late_does_not_matter_where_it_is_the_lesser_part_of_latency() -> None:
    latency, late, unread = (Quantiles(count=1, p99=value) for value in (60.0, 0.1, 20.0))
    assert why_discarded(latency, late, unread, 0.5, 0) is None


@pytest.mark.parametrize(("rate", "milliseconds"), [(100, 10), (50, 20), (25, 40), (16.67, 60), (1000 / 60, 60)])
def test_the_rates_of_calls(rate: float, milliseconds: int) -> None:
    assert frame_milliseconds(rate) == milliseconds


def test_a_rate_that_no_call_has() -> None:
    with pytest.raises(PlanRefused, match=r"not 30: choose one"):
        frame_milliseconds(30)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(targets=(), sessions=1, seconds=1), "give a URL"),
        (Plan(targets=(NOWHERE,), sessions=0, seconds=1), "above 0"),
        (Plan(targets=(NOWHERE,), sessions=1, seconds=1, payload_bytes=3), "at least 4 bytes"),
        (Plan(targets=(Target(url="http://x/", kind=Kind.OPAQUE),), sessions=1, seconds=1), "wss://host:port/path"),
        (Plan(targets=(Target(url="ws://x:99999/", kind=Kind.OPAQUE),), sessions=1, seconds=1), "wss://host:port/path"),
        (Plan(targets=(Target(url="ws://no.invalid/", kind=Kind.OPAQUE),), sessions=1, seconds=1), "nobody knows"),
    ],
)
def test_plans_that_make_no_sense(plan: Plan, said: str) -> None:
    with pytest.raises(PlanRefused, match=said):
        run_load(plan)


def test_where_nobody_listens_every_attempt_is_counted_with_its_reason() -> None:
    outcome = run_load(Plan(targets=(NOWHERE,), sessions=3, seconds=1, sessions_per_second=1000))
    (route,) = outcome.routes
    assert route.reasons == {"cannot reach 127.0.0.1:1: Connection refused": 3}
    assert (route.calls_failed, outcome.handshakes.failed, outcome.offered) == (3, 3, 0)
    assert outcome.is_partial


def test_a_hopeless_address_is_not_tried_a_thousand_times() -> None:
    outcome = run_load(Plan(targets=(NOWHERE,), sessions=1000, seconds=1, sessions_per_second=1000))
    assert outcome.handshakes.failed < 100


@pytest.mark.parametrize("tick_us", [0, 1000])
def test_every_frame_is_carried_by_an_echo(tick_us: int) -> None:
    told: list[Progress] = []
    with echo_backend() as backend:
        plan = Plan(
            targets=(Target(url=backend.url, kind=Kind.OPAQUE), Target(url=backend.url + "b", kind=Kind.OPAQUE)),
            sessions=5,
            seconds=0.5,
            warm_up_seconds=0.1,
            tick_us=tick_us,
            watched=Watched(backend=(backend.pid,)),
        )
        outcome = run_load(plan, told.append)
    assert (outcome.offered, outcome.carried, outcome.lost) == (125, 125, 0)
    assert [(route.sessions, route.offered, route.wrong) for route in outcome.routes] == [(3, 75, 0), (2, 50, 0)]
    assert (outcome.handshakes.done, outcome.handshakes.latency.count, outcome.is_partial) == (5, 5, False)
    assert sum(second.carried for second in outcome.seconds_of_run) == outcome.latency.count == 125
    assert outcome.cost.backend_cores is not None
    assert outcome.cost.proxy_us_per_frame is None
    assert [each.phase for each in told][-1] == "waiting for the last frames"


def test_a_run_that_is_stopped_keeps_what_it_has() -> None:
    with echo_backend() as backend:
        target = Target(url=backend.url, kind=Kind.OPAQUE)
        carried: list[int] = []
        plan = Plan(targets=(target,), sessions=2, seconds=60, warm_up_seconds=0.1)
        outcome = run_load(plan, lambda progress: carried.append(progress.carried), should_stop=lambda: any(carried))
    assert outcome.is_partial
    assert 0 < outcome.carried == outcome.offered < 3_000, "half of what a whole run has"
    assert outcome.seconds < 60


def test_a_backend_that_dies_in_the_middle_leaves_a_part() -> None:
    with echo_backend() as backend:
        target = Target(url=backend.url, kind=Kind.OPAQUE)
        plan = Plan(targets=(target,), sessions=2, seconds=60, warm_up_seconds=0.1)

        def kill_when_it_measures(progress: Progress) -> None:
            if progress.carried:
                backend.kill()

        outcome = run_load(plan, kill_when_it_measures)
    (route,) = outcome.routes
    assert outcome.is_partial
    assert route.calls_ended == sum(route.reasons.values()) == 2
    assert 0 < outcome.carried < outcome.offered
