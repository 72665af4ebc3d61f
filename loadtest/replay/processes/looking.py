"""What other processes use: processor time to the nanosecond, memory, children, who listens where.

A process that is gone, or that may not be looked at, is None or nothing: a run goes on without the figure.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

_Number = TypeVar("_Number", int, float)

_PROC = Path("/proc")
_LISTENING = "0A"
_CPUCLOCK_SCHED = 2
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Usage(msgspec.Struct, frozen=True):
    """What some processes have used since they began."""

    processor_seconds: float | None
    """User and system, all threads, those that have ended included."""
    rss_kib: int | None
    waited_seconds: float | None = None
    """For a processor, all threads that live."""

    def __sub__(self, before: "Usage") -> "Usage":
        """What was used in between; memory as it is now."""
        return Usage(
            _less(self.processor_seconds, before.processor_seconds),
            self.rss_kib,
            _less(self.waited_seconds, before.waited_seconds),
        )


def usage_of(pids: Iterable[int]) -> Usage:
    """Give what these processes have used in sum; None where there are none, or one cannot be looked at."""
    each = list(pids)
    return Usage(_sum(_processor_seconds, each), _sum(_rss_kib, each), _sum(_waited_seconds, each))


def children_of(pid: int) -> tuple[int, ...]:
    """Give the pids of a process's own children."""
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
        return tuple(int(child) for task in tasks for child in (task / "children").read_text().split())
    except OSError:
        return ()


def listeners_of(port: int) -> tuple[int, ...]:
    """Give the processes that listen on a TCP port of this machine, as far as they may be looked at."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    return tuple(sorted(pid for pid in _pids() if wanted and wanted & _links(pid)))


def sockets_of(pid: int) -> int:
    """Count the sockets that a process has open; 0 for one that may not be looked at."""
    try:
        return sum(link.startswith("socket:") for link in _links(pid))
    except OSError:
        return 0


def describe_machine() -> str:
    """Give the processor, its cores, kernel and Python in one line."""
    try:
        lines = (_PROC / "cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        model = ""
    cores = os.cpu_count() or 1
    return (
        f"{model or platform.machine()}, {cores} core{'s' * (cores != 1)}, "
        f"{platform.system()} {platform.release()}, {platform.python_implementation()} {platform.python_version()}"
    )


def _processor_seconds(pid: int) -> float:
    """Read the process's clock, as clock_getcpuclockid(3) names it: /proc/PID/stat has no more than ticks of 10 ms."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def _waited_seconds(pid: int) -> float:
    """Sum the second field of schedstat: nanoseconds in the queue for a processor."""
    tasks = (_PROC / str(pid) / "task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else max(0.0, after - before)


def _rss_kib(pid: int) -> int:
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    if not pages:
        raise ProcessLookupError(pid)  # it has ended, and its parent has not looked yet
    return pages * _PAGE_KIB


def _sum(of_one: Callable[[int], _Number], pids: list[int]) -> _Number | None:
    try:
        return sum(map(of_one, pids[1:]), of_one(pids[0])) if pids else None
    except OSError:
        return None


def _inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _pids() -> list[int]:
    return [int(each.name) for each in _PROC.iterdir() if each.name.isdigit()]


def _links(pid: int) -> set[str]:
    links: set[str] = set()
    with suppress(OSError):
        for each in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed since it was listed
                links.add(str(each.readlink()))
    return links
