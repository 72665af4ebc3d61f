"""A real proxy in a process of its own, to be measured from outside."""

import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.05


class ServedProxy(msgspec.Struct, frozen=True):
    """A proxy that takes calls."""

    pid: int
    addresses: tuple[str, ...]


@contextmanager
def served(command: Sequence[str], directory: Path) -> Generator[ServedProxy]:
    """Run `command`, which serves `directory`, until the block ends."""
    ready, log = directory / "run/ready", directory.with_name("serve.log")
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:  # noqa: S603  ourselves
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not (ready.exists() and (addresses := ready.read_text().split())):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the proxy did not start: {log.read_text(errors='replace')[-300:]}")
                time.sleep(_LOOK_SECONDS)
            yield ServedProxy(process.pid, tuple(addresses))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
