"""A real proxy in a process of its own, for tests: a directory as `init` makes it, and `serve` over it.

    directory = make_directory(tmp_path)                                # once a session; copy_directory for each test
    with running_proxy(directory, "voice.epoch_seconds=5") as proxy:
        …  f"{proxy.url}/echo", proxy.pid, proxy.events("proxy.ready"), proxy.stop()

Nothing here is asynchronous: it may be used in tests of both kinds, since the proxy is another process.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOTTOVOCE = (sys.executable, "-m", "sottovoce")
ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
STOP_SECONDS = 60.0
ROOMY = "voice.queue_frames=1000"
"""For a proxy of which every frame is to come back: one that stands still for a second, on a busy machine, loses the
oldest of what then comes at once, and rightly."""
_LOOK_SECONDS = 0.02
_UNWANTED = ("OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE", "SOTTOVOCE_DIR", "SOTTOVOCE_DEBUG")


def environment(**changes: str) -> dict[str, str]:
    """This process's variables without those that change what the program does, and with `changes`."""
    return {name: value for name, value in os.environ.items() if name not in _UNWANTED} | changes


def sottovoce(
    *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, in a process of its own."""
    return subprocess.run(
        [*SOTTOVOCE, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment() if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        timeout=START_SECONDS,
    )


def make_directory(parent: Path, *words: str, name: str = "voice") -> Path:
    """Have `sottovoce init` make a directory that listens on a free port.  Takes a second or two."""
    directory = parent / name
    done = sottovoce("init", directory, "--port", "0", "--admin-port", "0", *words)
    assert done.returncode == 0, done.stderr
    return directory


def copy_directory(directory: Path, parent: Path, name: str = "voice") -> Path:
    """Copy a directory of `init`, for one test to spoil: the token's configuration follows by itself.

    A proxy may run over it: its sockets, which copytree cannot copy, are that proxy's.
    """
    return Path(shutil.copytree(directory, parent / name, ignore=_sockets))


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_socket()]


class RunningProxy:
    """`sottovoce serve` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path, log: Path) -> None:
        self.process = process
        self.directory = directory
        self.log = log
        """What it wrote to standard error."""
        self.addresses: tuple[str, ...] = ()
        """`host:port` of each listener, the first one's first."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.addresses[0].rpartition(":")[2])

    @property
    def admin(self) -> str:
        """`http://127.0.0.1:PORT` of the admin address."""
        return f"http://{self.events('proxy.ready')[-1]['admin']}"

    @property
    def url(self) -> str:
        """`wss://localhost:PORT`; add `/ROUTE`."""
        return f"wss://localhost:{self.port}"

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log's events, of that name.  A line that is no JSON fails the test, if it is whole."""
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        return [event for event in map(json.loads, lines) if name in {None, event["event"]}]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, give the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running_proxy(
    directory: Path, *sets: str, env: Mapping[str, str] | None = None, program: str = "sottovoce"
) -> Generator[RunningProxy]:
    """Run `sottovoce serve DIRECTORY --set …`; give it once calls can come, stop it (SIGTERM) when the block ends.

    `program` is a module that is run in its stead, one that changes something first.
    """
    changes = ("log.format=json", "admin.address=127.0.0.1:0", *sets)  # proxies of several tests run at once
    words = [word for change in changes for word in ("--set", change)]
    log = directory.with_name(f"{directory.name}.serve.log")
    ready = directory / "run/ready"
    ready.unlink(missing_ok=True)
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", program, "serve", str(directory), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment() if env is None else dict(env),
            cwd=ROOT,
        ) as process,
    ):
        proxy = RunningProxy(process, directory, log)
        try:
            proxy.addresses = _wait_until_ready(proxy, ready)
            yield proxy
            if process.poll() is None:
                proxy.stop()
        finally:
            process.kill()


def _wait_until_ready(proxy: RunningProxy, ready: Path) -> tuple[str, ...]:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and proxy.process.poll() is None:
        if ready.exists() and (addresses := ready.read_text().split()):
            return tuple(addresses)
        time.sleep(_LOOK_SECONDS)  # another process makes the file: there is nothing to wait on
    raise AssertionError(f"the proxy did not start: {proxy.log.read_text()}")
