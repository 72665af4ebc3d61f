"""Forked children that answer one question by their exit status, within a limit of time and memory."""

import contextlib
import math
import os
import resource
import select
import signal
import traceback
from collections.abc import Callable

_MEMORY_BYTES = 6 << 30
_PATIENCE = 20
"""By the clock so many times more than by the processor: the machine may be busy, and a mutant may wait for ever."""


def ask(work: Callable[[], int], seconds: float) -> str:
    """Run `work` in a fork: "" if it gives 0, else "failed", or "timeout" after so many seconds of processor time."""
    child = os.fork()
    if child == 0:
        _become(work, math.ceil(seconds))
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor], [], [], _PATIENCE * seconds)
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(descriptor)
    code = os.waitstatus_to_exitcode(status)
    if not ready or code == -signal.SIGXCPU:
        return "timeout"
    return "" if code == 0 else "failed"


def _become(work: Callable[[], int], seconds: int) -> None:
    status = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        status = work()
    except BaseException:  # noqa: BLE001  it ends here, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)
