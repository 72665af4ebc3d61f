"""A worker's process, seen from the supervisor: started, or taken over from the supervisor before this one."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress

import trio

TLS_VARIABLES = frozenset({"OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE"})
"""Variables that change what the cryptographic library does."""
_NOT_INHERITED = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
COMMAND = (sys.executable, "-P", "-m", "sottovoce.app.workers.process")
"""-P: nothing is imported from the directory in which the proxy was started."""


class Child:
    """A process of ours, until `ended` has returned."""

    def __init__(self, pid: int, popen: "subprocess.Popen[bytes] | None" = None) -> None:
        """Take a process that is our child, or was: one that is not there any more has ended.  Raises OSError."""
        self.pid = pid
        self._popen = popen
        try:
            self._ending: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._ending = None

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        if self._ending is None:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._ending, signal.SIGKILL)

    async def ended(self) -> str:
        """Wait until it has ended, and reap it; say how it did.  Called once."""
        if self._ending is None:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.wait_readable(self._ending)
        return _described(self._reap())

    def _reap(self) -> int:
        """Give the status of a process that has ended, as `Popen.returncode` has it."""
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # somebody else has reaped it
            code = 0
        if self._popen is not None:
            self._popen.returncode = code
        return code

    def close(self) -> None:
        """Let go of it, whether it has ended or not."""
        if self._ending is not None:
            os.close(self._ending)


def start_child(channel: socket.socket, inherited: Iterable[int], without: Iterable[str]) -> Child:
    """Start a worker with its end of the desk, and what else it inherits; of our variables it gets none `without`.

    Takes milliseconds.  Raises OSError, having left nothing.
    """
    popen = subprocess.Popen(  # noqa: S603  our own command, no shell
        [*COMMAND, str(channel.fileno())],
        pass_fds=(channel.fileno(), *inherited),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_environment(os.environ, frozenset(without)),
        process_group=0,  # Ctrl-C at a terminal is for the supervisor alone
    )
    try:
        return Child(popen.pid, popen)
    except OSError:
        popen.kill()
        popen.wait()
        raise


def _environment(ours: Mapping[str, str], without: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in ours.items() if name not in _NOT_INHERITED | without}


def _described(code: int) -> str:
    if code >= 0:
        return f"it ended with status {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
