"""Runs tests against one mutant after the other, each in a fork of a process that has the libraries loaded already.

`python -m tests.mutation.worker` in a copy of the tree takes one JSON object a line, {path, source, stages}, and
answers each with one line: {"killed": stage number or null, "how": "failed" | "timeout" | "", "seconds": …}.
Nothing of the project is imported before the fork, so each child compiles the mutant afresh.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TypedDict

import cryptography.hazmat.primitives.asymmetric.ec
import cryptography.x509
import hypothesis.stateful
import msgspec
import pytest
import trio.testing

_PRELOADED = (cryptography, hypothesis, msgspec, trio)  # what a child would import each time
_MEMORY_BYTES = 6 << 30
_OPTIONS = (
    *("-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutation.quick", "--hypothesis-profile=mutation"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # the parent has imported plugins: they need no rewriting
)


class Stage(TypedDict):
    """Tests to run, and how long they may take."""

    tests: list[str]
    seconds: float


class Order(TypedDict):
    """One mutant."""

    path: str
    source: str
    stages: list[Stage]


def main() -> None:
    """Serve until standard input ends."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for line in sys.stdin:
        print(json.dumps(_try(json.loads(line))), flush=True)  # noqa: T201  the answer


def _try(order: Order) -> dict[str, object]:
    path = Path(order["path"])
    original, times = path.read_bytes(), path.stat()
    path.write_text(order["source"], encoding="utf-8")
    began = time.monotonic()
    try:
        for number, stage in enumerate(order["stages"]):
            how = _run(stage)
            if how:
                return {"killed": number, "how": how, "seconds": time.monotonic() - began}
        return {"killed": None, "how": "", "seconds": time.monotonic() - began}
    finally:
        path.write_bytes(original)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # what is compiled of the original is good again


def _run(stage: Stage) -> str:
    """Give "" if all tests pass."""
    child = os.fork()
    if child == 0:
        _child(stage["tests"])
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor], [], [], stage["seconds"])
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(descriptor)
    if not ready:
        return "timeout"
    return "" if os.waitstatus_to_exitcode(status) == 0 else "failed"


def _child(tests: list[str]) -> None:
    status = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        status = int(pytest.main([*_OPTIONS, *tests]))
    except BaseException:  # noqa: BLE001  it ends here, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
