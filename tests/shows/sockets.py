"""What a process holds open, as the kernel tells it."""

import re
from pathlib import Path

_LISTEN = "0A"
_INODE = re.compile(r"socket:\[(\d+)\]")


def connections_of(pid: int, port: int) -> int:
    """How many TCP connections of IPv4 to a port of this machine a process has not closed."""
    return len(_inodes(pid) & _connected(pid, port))


def _inodes(pid: int) -> set[str]:
    found: set[str] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        if match := _INODE.fullmatch(target):
            found.add(match[1])
    return found


def _connected(pid: int, port: int) -> set[str]:
    found: set[str] = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[3] != _LISTEN:
            found.add(fields[9])
    return found
