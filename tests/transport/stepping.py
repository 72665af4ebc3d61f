"""Cancelling a piece of async code at each of its steps in turn."""

from collections.abc import Awaitable, Callable

import trio

MAX_STEPS = 500


class _CancelAt(trio.abc.Instrument):
    """Cancels `scope` when `task` is about to take its `step`-th step."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, step: int) -> None:
        self._task = task
        self._scope = scope
        self._steps_left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._steps_left -= 1
            if self._steps_left == 0:
                self._scope.cancel()


async def run_cancelled_at(step: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Do `work` in this task, cancelled at its `step`-th step (0: before the first); give whether that stopped it."""
    with trio.CancelScope() as scope:
        if step == 0:
            scope.cancel()
        instrument = _CancelAt(trio.lowlevel.current_task(), scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            await work()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return scope.cancelled_caught


async def sweep(attempt: Callable[[int], Awaitable[bool]]) -> int:
    """Make an attempt for each step from 0 on, until one was not stopped; give how many were."""
    for step in range(MAX_STEPS):
        if not await attempt(step):
            return step
    raise AssertionError(f"still cancelled at step {MAX_STEPS}")
