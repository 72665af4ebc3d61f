"""Runs what waits for something.  Ctrl-C, SIGTERM and SIGHUP cancel it: what was begun is cleared away.

Ctrl-C, too, comes as a signal and not as KeyboardInterrupt, which would strike between any two instructions.  A second
signal is not waited for: it ends the command as it always does.
"""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SIGNAL_EXIT = 128
"""An exit code above this says which signal ended a command, as in a shell."""


def run_until_told(function: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
    """Run an asynchronous function and give its result.  Exits with 128 + N where signal N ended it before."""
    results: list[T] = []
    told: list[int] = []

    async def stop_when_told(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*_heeded()) as signals:
            task_status.started()
            while not told:
                number = await anext(signals)
                if number in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
                    signal.raise_signal(number)  # it waits for the program that is to take this one's place
                else:
                    told.append(number)
        scope.cancel()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            if _heeded():
                await nursery.start(stop_when_told, nursery.cancel_scope)
            results.append(await function(*arguments))
            nursery.cancel_scope.cancel()

    trio.run(run)
    if not results:
        raise SystemExit(_SIGNAL_EXIT + told[0])
    return results[0]


def _heeded() -> list[int]:
    """Give the signals that are not ignored: `nohup` says by that what it wants."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
