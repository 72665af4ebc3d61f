"""How much processor time other processes have used."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Places in /proc/PID/stat behind the name, which may hold spaces."""


def processor_seconds(pids: Iterable[int]) -> float:
    """Give what these processes, all their threads, have used since they began."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[_USER]) + int(fields[_SYSTEM])
