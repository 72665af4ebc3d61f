"""What token processes, the proxy and the clients of these shows write down, a line of JSON each, as it happens.

A line is one write to a file that is open for appending, made before what it tells of can be seen by anybody else: a
root's line before its signatures leave the token process.  So a process that is killed loses none of it.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

RECORDS = "SHOW_RECORDS"
"""The environment's variable that names the folder."""


class Signed(msgspec.Struct, frozen=True, tag="signed"):
    """A token process has counted a root of a ServerVerify as signed; instants are seconds of the monotonic clock."""

    node: str
    pid: int
    root: str
    began_at: float
    at: float


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """All sessions of a token process were invalidated; `in_flight` signatures were then being made."""

    node: str
    pid: int
    in_flight: int
    at: float


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """The proxy made a batch's root for a node, to send it, or to see whether it can afford to.

    `queued_seconds` is for how long its main thread had waited for a processor until then.
    """

    batch: int
    node: str
    root: str
    at: float
    queued_seconds: float


class Delivered(msgspec.Struct, frozen=True, tag="delivered"):
    """The proxy gave each call of a batch its proof, by the node that answered first."""

    batch: int
    node: str
    root: str
    at: float


class Made(msgspec.Struct, frozen=True, tag="made"):
    """A call that a client made; `failure` is empty for one that went well from the first byte to the last."""

    began_at: float
    ended_at: float
    failure: str


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """A call's client has found both signatures of a root right; `key` is the certificate's P-384 key."""

    root: str
    key: str


Line = Signed | Dropped | Asked | Delivered | Made | Verified
_Kind = TypeVar("_Kind", bound=Line)
_DECODER: "msgspec.json.Decoder[Line]" = msgspec.json.Decoder(Line)


class Writer:
    """Writes lines to a file of its own."""

    def __init__(self, name: str) -> None:
        self._file = os.open(Path(os.environ[RECORDS]) / f"{name}.lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, line: Line) -> None:
        data = msgspec.json.encode(line) + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError("a line was not written whole")


class Records:
    """The folder, read on from where it was read to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read_to: dict[Path, int] = {}
        self._lines: list[Line] = []

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """Give all lines of a kind."""
        for path in sorted(self.folder.glob("*.lines")):
            self._lines += self._new_lines(path)
        return [line for line in self._lines if isinstance(line, kind)]

    def _new_lines(self, path: Path) -> Iterator[Line]:
        with path.open("rb") as file:
            file.seek(self._read_to.get(path, 0))
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_to[path] = self._read_to.get(path, 0) + len(whole) + len(newline)
        return map(_DECODER.decode, whole.splitlines())


class Work:
    """How many signatures a token process has begun and ended: two numbers in memory that outlives it."""

    _NUMBERS = struct.Struct("=QQ")

    def __init__(self, folder: Path, pid: int) -> None:
        path = folder / f"{pid}.work"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, self._NUMBERS.size)
        self._memory = mmap.mmap(descriptor, self._NUMBERS.size)
        os.close(descriptor)

    def set(self, begun: int, ended: int) -> None:
        self._NUMBERS.pack_into(self._memory, 0, begun, ended)

    @property
    def numbers(self) -> tuple[int, int]:
        begun, ended = self._NUMBERS.unpack_from(self._memory)
        return begun, ended

    @property
    def in_flight(self) -> int:
        begun, ended = self.numbers
        return begun - ended


def queued_seconds(pid: int | str) -> float:
    """For how long a process's main thread has waited for a processor that others used, by the kernel's own count.

    Zero where it keeps none (Documentation/scheduler/sched-stats.rst).
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except OSError:
        return 0.0


def now() -> float:
    """Give seconds of the clock that all processes share."""
    return time.monotonic()
