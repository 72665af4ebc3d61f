"""From a plan to its outcome."""

from collections.abc import Callable

from loadtest.replay.outcome import Outcome
from loadtest.replay.plan import Plan, Progress


def run_load(
    plan: Plan,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Carry out a plan and say what came of it; blocks for as long as it takes.

    `should_stop` is asked many times a second: once it says so, what was measured up to then is given, `is_partial`.
    Sessions that do not come about are counted with their reasons; it raises for a plan that makes no sense, not for
    a proxy that does not answer.
    """
    raise NotImplementedError
