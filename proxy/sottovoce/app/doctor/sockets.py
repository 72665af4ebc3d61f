"""Who listens on a port, and who holds a lock, as /proc tells.  Parsing is pure; only `holder_of` and `locker_of` look.

Other users' processes show no descriptors: then the port is held by somebody without a name.
"""

import os
import socket
import struct
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from sottovoce.app.doctor.host import read_text
from sottovoce.edge import AddressUnusable, parse_address
from sottovoce.primitives import one_line

_LISTEN: Final = "0A"
_MAX_PROCESSES: Final = 50_000
_PROC: Final = Path("/proc")
PROXY: Final = "sottovoce"
"""Our own program's name."""
_MAX_WORDS: Final = 5
"""So many words of a command line may come before a module's name."""


class Holder(NamedTuple):
    """The process that holds something; 0 where it does not show."""

    pid: int
    program: str


class Listening(NamedTuple):
    """A line of /proc/net/tcp or tcp6 about a listening socket."""

    address: IPv4Address | IPv6Address
    port: int
    inode: str


def parse_listening(text: str) -> Iterator[Listening]:
    """Read /proc/net/tcp or tcp6; a line that is none is passed over."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        with suppress(ValueError, IndexError, struct.error):
            host, _, port = fields[1].partition(":")
            if fields[3] == _LISTEN:
                yield Listening(_address(bytes.fromhex(host)), int(port, 16), fields[9])


def _address(raw: bytes) -> IPv4Address | IPv6Address:
    """The kernel writes words of four bytes in the machine's own order."""
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    return ip_address(b"".join(struct.pack(">I", word) for word in words))


def covers(listening: Listening, host: str, port: int) -> bool:
    """Whether a listening socket keeps another from binding to this address."""
    wanted = ip_address(host)
    if listening.port != port:
        return False
    either_is_any = listening.address.is_unspecified or wanted.is_unspecified
    same_kind = listening.address.version == wanted.version
    dual = listening.address.is_unspecified and listening.address.version == 6  # noqa: PLR2004  IPv6
    return listening.address == wanted or (either_is_any and (same_kind or dual))


def holder_of(host: str, port: int) -> Holder | None:
    """Tell who listens where one wants to; None if nobody does."""
    sockets = [each for name in ("tcp", "tcp6") for each in parse_listening(_read_all(_PROC / "net" / name))]
    found = next((each for each in sockets if covers(each, host, port)), None)
    return None if found is None else _owner(found.inode)


@contextmanager
def naming_holder() -> Generator[None]:
    """Have an address that is taken say by whom, where that shows."""
    try:
        yield
    except AddressUnusable as error:
        address = parse_address(error.address)
        holder = holder_of(address.host, address.port) if error.is_taken else None
        if holder is not None and holder.pid:
            error.name_holder(holder.pid, holder.program, is_proxy=holder.program == PROXY)
        raise


def bind_error(host: str, port: int) -> OSError | None:
    """Try to take an address, and let it go at once; None if it can be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def parse_locker(text: str, device: int, inode: int) -> int | None:
    """Find in /proc/locks who holds the exclusive flock(2) of a file; None if nobody."""
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for line in text.splitlines():
        fields = line.split()
        if fields[1:2] == ["FLOCK"] and fields[3:4] == ["WRITE"] and fields[5:6] == [wanted]:
            return int(fields[4]) if fields[4].isdigit() else 0
    return None


def locker_of(path: Path) -> Holder | None:
    """Tell who holds a file's lock; None if nobody does, or there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    pid = parse_locker(_read_all(_PROC / "locks"), found.st_dev, found.st_ino)
    return None if pid is None else Holder(pid, _program(pid))


def _owner(inode: str) -> Holder:
    target = f"socket:[{inode}]"
    for process in islice((each for each in _PROC.iterdir() if each.name.isdigit()), _MAX_PROCESSES):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) == target:
                    return Holder(int(process.name), _program(int(process.name)))
    return Holder(0, "")


def _program(pid: int) -> str:
    """Give the program's name alone: its arguments may hold what is nobody's affair.

    Python's is `python` where it became another program in place (an upgrade), or runs a module: then that one's.
    """
    if is_proxy(read_text(_PROC / str(pid) / "cmdline").split("\0")):
        return PROXY
    return one_line(read_text(_PROC / str(pid) / "comm"), max_characters=32)


def is_proxy(words: Sequence[str]) -> bool:
    """Whether a command line runs `sottovoce`, or one of its workers.  Pure."""
    if any(Path(word).name == PROXY for word in words[:2]):
        return True
    if "-m" not in words[:_MAX_WORDS]:
        return False
    module = "".join(words[words.index("-m") + 1 :][:1])
    return module == PROXY or module.startswith(f"{PROXY}.app.")


def _read_all(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
