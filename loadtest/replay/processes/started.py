"""Processes that a run starts and stops: the proxy under test, and the backend that echoes.

Each is in a session of its own: Ctrl-C is for the run, which ends them when it has reported.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from loadtest.replay.errors import PlanRefused
from loadtest.replay.plan import Watched
from loadtest.replay.processes.crew import watched_of

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.05
_MAX_SAID = 300


class EchoBackend(msgspec.Struct, frozen=True):
    """An `echo_backend` that takes connections."""

    pid: int
    port: int
    control: IO[bytes]
    """Its standard input."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self.port}/"

    def down(self) -> None:
        """Have it drop its connections and refuse new ones."""
        self.control.write(b"d")
        self.control.flush()

    def up(self) -> None:
        """Have it take connections again, on the same port."""
        self.control.write(b"u")
        self.control.flush()

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)


class ServedProxy(msgspec.Struct, frozen=True):
    """`sottovoce serve` that takes calls."""

    pid: int
    watched: Watched
    """All of its processes."""
    addresses: tuple[str, ...]
    """`host:port` of each listener."""


Wrap = Callable[[Sequence[str]], list[str]]
"""Gives the command that runs a command elsewhere, as on a core of its own, with the same pid."""


def as_it_is(command: Sequence[str]) -> list[str]:
    """Wrap nothing around a command."""
    return list(command)


@contextmanager
def echo_backend(wrap: Wrap = as_it_is) -> Generator[EchoBackend]:
    """Run the backend on a free port until the block ends."""
    command = wrap([sys.executable, "-m", "loadtest.replay.processes.echo_backend"])
    with subprocess.Popen(  # noqa: S603  ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line or process.stdin is None:
                raise PlanRefused("the echo backend did not start; what it said stands above")
            yield EchoBackend(process.pid, int(line), process.stdin)
        finally:
            process.kill()


@contextmanager
def served_proxy(configuration: Path, changes: Sequence[str] = (), wrap: Wrap = as_it_is) -> Generator[ServedProxy]:
    """Run `sottovoce serve` over a directory or file, with `--set` for each change, until the block ends.

    Raises PlanRefused with the proxy's own line if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="sottovoce-load-") as own:
        ready, log = Path(own, "ready"), Path(own, "log")
        words = [word for each in (f"process.ready_file={ready}", *changes) for word in ("--set", each)]
        command = wrap([sys.executable, "-m", "sottovoce", "serve", str(configuration), *words])
        with (
            log.open("wb") as stderr,
            subprocess.Popen(  # noqa: S603  ourselves
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            ) as process,
        ):
            try:
                addresses = _wait_until_ready(process, ready, log)
                yield ServedProxy(process.pid, watched_of((process.pid,)), addresses)
            finally:
                _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", ready: Path, log: Path) -> tuple[str, ...]:
    give_up_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        if ready.exists() and (addresses := ready.read_text().split()):
            return tuple(addresses)
        time.sleep(_LOOK_SECONDS)  # another process makes the file: there is nothing to wait on
    said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    raise PlanRefused(f"the proxy did not start: {said[-1][-_MAX_SAID:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Have it drain; a second SIGTERM cuts off what is left, and then it is not asked again."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS / 3)
        except subprocess.TimeoutExpired:
            continue
