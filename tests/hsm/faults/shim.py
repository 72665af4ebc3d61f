"""The fault-injecting PKCS#11 module of `shim.c`: built with gcc, and told through a file what to do wrong."""

import mmap
import re
import struct
import subprocess
from enum import IntEnum
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).with_name("shim.c")
PLACES = {name: int(place) for place, name in re.findall(r"WITH_\d\((\d+), (C_\w+)\)", SOURCE.read_text())}
"""The places of PKCS#11's functions in its list, by name."""
ALWAYS = 0xFFFF_FFFF
_FUNCTIONS = 68
_ENTRY = struct.Struct("=8I")


class Order(IntEnum):
    """What a function may be told to do, as in `shim.c`."""

    NOTHING = 0
    REFUSE = 1
    FAIL_AFTER = 2
    HANG = 3
    CRASH = 4
    CORRUPT = 5
    DROP_SESSIONS = 6
    LOG_OUT = 7
    REINITIALIZE = 8
    DELAY = 9


def build_shim(directory: Path) -> Path:
    """Compile the module; it works while SHIM_MODULE and SHIM_BOARD are in the environment."""
    module = directory / "shim.so"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"]
    subprocess.run([*command, "-o", str(module), str(SOURCE), "-ldl"], check=True)
    return module


class Board:
    """The file through which the module is told what to do and tells what it did, in every process that has it."""

    def __init__(self, path: Path) -> None:
        """Make the file, with no orders."""
        self.path = path
        path.write_bytes(bytes(_FUNCTIONS * _ENTRY.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def order(self, function: str, order: Order, code: int = 0, *, skip: int = 0, times: int = ALWAYS) -> None:
        """Have the next calls of a function go wrong: `times` of them, after `skip` more that go well."""
        self.take_back(function)
        start = PLACES[function] * _ENTRY.size
        struct.pack_into("=3I", self._memory, start + 4, code, skip, times)
        struct.pack_into("=I", self._memory, start, order)

    def take_back(self, function: str) -> None:
        """Let a function go well again; one that hangs goes on."""
        struct.pack_into("=I", self._memory, PLACES[function] * _ENTRY.size, Order.NOTHING)

    def clear(self, function: str) -> None:
        """Let a function go well, and count from zero."""
        start = PLACES[function] * _ENTRY.size
        self._memory[start : start + _ENTRY.size] = bytes(_ENTRY.size)

    def calls(self, function: str) -> int:
        """How often it was called, by all processes."""
        return self._entry(function)[4]

    def obeyed(self, function: str) -> int:
        """How often it went wrong as ordered."""
        return self._entry(function)[5]

    def succeeded(self, function: str) -> int:
        """How often it answered CKR_OK; calls that hang or crash count with these."""
        return self._entry(function)[4] - self._entry(function)[6]

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()

    def _entry(self, function: str) -> tuple[int, ...]:
        return _ENTRY.unpack_from(self._memory, PLACES[function] * _ENTRY.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
