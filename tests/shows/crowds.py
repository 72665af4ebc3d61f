"""A crowd that troubles a running proxy, in a process of its own: it says one line of JSON, and ends at a word."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import trio

from tests.running import ROOT, environment


class Crowd:
    """A running one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def told(self) -> dict[str, int]:
        """Wait for what it says."""
        assert self._process.stdout is not None
        return json.loads(await trio.to_thread.run_sync(self._process.stdout.readline))

    def enough(self) -> None:
        """Tell it to end."""
        assert self._process.stdin is not None
        self._process.stdin.write("enough\n")
        self._process.stdin.flush()


@contextmanager
def crowd(module: str, *words: object) -> Generator[Crowd]:
    """Run a module of `tests.shows` while the block runs."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.shows.{module}", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    ) as process:
        try:
            yield Crowd(process)
        finally:
            process.kill()
