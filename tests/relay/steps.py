"""Cancelling something at every step it takes."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import count

import trio


class _CancelAt(trio.abc.Instrument):
    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self._task = trio.lowlevel.current_task()
        self._steps_left = step
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._steps_left -= 1
            if self._steps_left == 0:
                self._scope.cancel()


async def cancelled_at_each_step(run: Callable[[], Awaitable[None]]) -> AsyncGenerator[bool]:
    """Call `run` again and again, cancelled at its first step, its second, …; yields after each whether it was.

    Ends with the call that came to its end before it was cancelled.
    """
    for step in count(1):
        with trio.CancelScope() as scope:
            instrument = _CancelAt(step, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                await run()
            finally:
                trio.lowlevel.remove_instrument(instrument)
        yield scope.cancelled_caught
        if not scope.cancel_called:
            return
