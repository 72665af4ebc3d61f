"""A server in a process of its own: started, waited for, ended by its pid."""

import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom

from loadtest.replay.processes.looking import children_of
from sottovoce.primitives import SottovoceError, one_line

_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_SHOWN = 300
_PORTS = (10_000, 32_768)
"""Below those that Linux chooses from (`net.ipv4.ip_local_port_range`)."""
_TRIES = 100
_chance = SystemRandom()


class ServerFailed(SottovoceError):
    """A server did not start; the text says which, and its own last words."""


def free_port() -> int:
    """Give a loopback port that is free now, and that the kernel gives to nobody who asks for any."""
    for _ in range(_TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", _chance.randrange(*_PORTS)))
            return int(probe.getsockname()[1])
    raise ServerFailed(f"none of {_TRIES} ports between {_PORTS[0]} and {_PORTS[1]} is free: end what has them")


@contextmanager
def serving(
    name: str, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Generator[int]:
    """Run `command` until the block ends; give its pid once `port` answers.  Raises ServerFailed.

    Its standard input stays open as long as we live, for those that end with it.
    """
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603  ourselves, or a peer that was asked for
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment
        ) as process,
    ):
        try:
            _wait_for(name, process, port, log)
            yield process.pid
        finally:
            end(process)


def workers_of(name: str, master: int) -> tuple[int, ...]:
    """Wait until a server's master, which listens before that, has made its workers; give their pids."""
    give_up_at = time.monotonic() + _START_SECONDS
    while not (workers := children_of(master)):
        if time.monotonic() > give_up_at:
            raise ServerFailed(f"{name} listens, and nobody of it answers: see whether it runs by itself")
        time.sleep(_LOOK_SECONDS)
    return workers


def end(process: "subprocess.Popen[bytes]") -> None:
    """Have a process end, kindly first."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _wait_for(name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(_LOOK_SECONDS)  # another process opens it: there is nothing to wait on
        else:
            return
    words = log.read_text(encoding="utf-8", errors="replace").strip()[-_SHOWN:]
    said = one_line(words.replace("\n", " | "), max_characters=_SHOWN) or "it said nothing"
    raise ServerFailed(f"{name} did not start on 127.0.0.1:{port}: {said}")
