"""The runs of a search: each contender's steps in turn, so that all are measured within the same minutes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import msgspec
from msgspec.structs import replace

from loadtest.knee.searching import Judgement, Search, judge
from loadtest.peers.servers import Cores, Running, ServerFailed
from loadtest.replay import Outcome, Plan, run_load
from loadtest.replay.plan import SEALED_BYTES

SCHEMA = "loadtest.knee/1"
LIMIT_MS = 20.0
FIRST, MOST = 100, 2000
SECONDS = 4.0
PRECISION = 0.05
_CALLS_PER_SECOND = 100.0

Run = Callable[[], AbstractContextManager[Running]]
"""Starts what is measured, or gives what runs already."""


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for."""

    limit_ms: float = LIMIT_MS
    first: int = FIRST
    most: int = MOST
    precision: float = PRECISION
    seconds: float = SECONDS
    tick_us: int = 0


class Step(msgspec.Struct, frozen=True):
    """One run."""

    name: str
    calls: int
    judgement: Judgement
    outcome: Outcome


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one contender."""

    name: str
    held: int
    """The most calls that were held; 0: not even the fewest that were tried."""
    missed: int | None
    """The fewest that were not; None: no step missed the limit."""
    is_open: bool
    """Whether the search ended without a verdict: the proxy may hold more."""


class Knees(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all."""

    schema: str = SCHEMA
    sought: Sought
    knees: tuple[Knee, ...]
    steps: tuple[Step, ...]
    missing: dict[str, str] = {}
    remarks: tuple[str, ...] = ()
    is_partial: bool = False


def find_knees(
    sought: Sought,
    contenders: Mapping[str, Run],
    cores: Cores | None,
    progress: Callable[[Step], None] = lambda _: None,
    missing: Mapping[str, str] | None = None,
) -> Knees:
    """Search for each; `cores` pins the generator.  Interrupted (KeyboardInterrupt), it gives what there is."""
    searches = {name: Search(sought.first, sought.most, sought.precision) for name in contenders}
    failed, steps, is_partial = dict(missing or {}), list[Step](), False
    try:
        while open_ones := [name for name in searches if name not in failed and searches[name].calls is not None]:
            for name in open_ones:
                try:
                    step = _step(sought, name, searches[name].calls or 1, contenders[name], cores)
                except ServerFailed as error:
                    failed[name] = f"{name}: {error}"
                    continue
                steps.append(step)
                searches[name].tell(step.judgement.verdict)
                progress(step)
    except KeyboardInterrupt:
        is_partial = True
    return Knees(
        sought=sought,
        knees=tuple(
            Knee(name=name, held=search.held, missed=search.missed, is_open=search.is_open)
            for name, search in searches.items()
            if name not in failed
        ),
        steps=tuple(steps),
        missing=failed,
        remarks=() if cores is None else cores.remarks,
        is_partial=is_partial,
    )


def _step(sought: Sought, name: str, calls: int, run: Run, cores: Cores | None) -> Step:
    with run() as running:
        plan = Plan(
            targets=(running.target,),
            sessions=calls,
            seconds=sought.seconds,
            tick_us=sought.tick_us,
            payload_bytes=SEALED_BYTES,
            sessions_per_second=_CALLS_PER_SECOND,
            watched=running.watched,
            name=name,
        )
        if cores is None:
            outcome = run_load(plan)
        else:
            with cores.as_generator():
                outcome = run_load(plan)
    outcome = replace(outcome, name=f"{name}, {calls} calls")
    return Step(name, calls, judge(outcome, sought.limit_ms), outcome)
