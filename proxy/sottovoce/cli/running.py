"""Runs what waits for something.  SIGTERM and SIGHUP end it as Ctrl-C does: what was begun is cleared away."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
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

    async def stop_when_told(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        told.append(await anext(signals))
        scope.cancel()

    async def run() -> None:
        with trio.open_signal_receiver(*_heeded()) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_when_told, signals, nursery.cancel_scope)
                results.append(await function(*arguments))
                nursery.cancel_scope.cancel()

    trio.run(run)
    if not results:
        raise SystemExit(_SIGNAL_EXIT + told[0])
    return results[0]


def _heeded() -> list[int]:
    """Give the signals that are not ignored: `nohup` says by that what it wants."""
    return [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
