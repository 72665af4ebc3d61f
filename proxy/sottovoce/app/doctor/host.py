"""Reads what the machine says of itself: /proc, limits, versions, the kernel's clock.  No judgement (`machine`)."""

import ctypes
import importlib.metadata
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from sottovoce.transport.probe import openssl_version

_TOOL_SECONDS: Final = 5.0
_MAX_READ: Final = 65_536
_TIMEX_BYTES: Final = 512
"""More than struct timex has on any machine."""
_LIMIT: Final = re.compile(r"(Max [a-z ]*[a-z]) +(unlimited|[0-9]{1,19}) +(unlimited|[0-9]{1,19})(?: |$)")
_LIBRARY: Final = re.compile(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)")


class Library(msgspec.Struct, frozen=True):
    """A package of Python's: what is needed, and what is there."""

    name: str
    needed: str
    installed: str | None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was read.  Tests put other readings in its place."""

    system: str
    python: tuple[int, int, int]
    libraries: tuple[Library, ...]
    openssl: str
    softhsm: str | None
    liboqs: str | None
    descriptors: tuple[int, int]
    """Soft and hard limit."""
    core_limit: int
    """-1: no limit."""
    core_pattern: str
    swaps: str
    """The content of /proc/swaps."""
    encrypted: frozenset[str]
    """Block devices of device-mapper that are encrypted, as `/dev/dm-0`."""
    ptrace_scope: int | None
    is_clock_synchronised: bool | None
    wall: float
    missing: tuple[str, ...]
    """What this kernel or Python lacks of what we use."""


def read_machine() -> Machine:
    """Read it all.  Starts one process: `softhsm2-util --version`, if it is there."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        system=sys.platform,
        python=sys.version_info[:3],
        libraries=_libraries(),
        openssl=openssl_version(),
        softhsm=_softhsm_version(),
        liboqs=_installed("liboqs-python"),
        descriptors=limit,
        core_limit=resource.getrlimit(resource.RLIMIT_CORE)[0],
        core_pattern=read_text("/proc/sys/kernel/core_pattern"),
        swaps=read_text("/proc/swaps"),
        encrypted=_encrypted_devices(),
        ptrace_scope=_number(read_text("/proc/sys/kernel/yama/ptrace_scope")),
        is_clock_synchronised=_is_synchronised(),
        wall=time.time(),
        missing=_missing(),
    )


def under_limits_of(machine: Machine, pid: int) -> Machine:
    """Give the readings with the limits of another process, the proxy that runs, in place of our own."""
    limits = parse_limits(read_text(f"/proc/{pid}/limits"))
    files, core = limits.get("Max open files"), limits.get("Max core file size")
    if files is None or core is None:
        return machine
    return msgspec.structs.replace(machine, descriptors=files, core_limit=core[0])


def parse_limits(text: str) -> dict[str, tuple[int, int]]:
    """Read /proc/PID/limits: soft and hard by name; -1 where there is none."""
    found = (_LIMIT.match(line) for line in text.splitlines())
    return {match[1]: (_limit(match[2]), _limit(match[3])) for match in found if match}


def _limit(word: str) -> int:
    return -1 if word == "unlimited" else int(word)


def read_text(path: str | Path) -> str:
    """Give a small file's text without the space around it; nothing where it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(_MAX_READ).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _libraries() -> tuple[Library, ...]:
    """Give what the package itself says that it needs, the server's extra included."""
    try:
        lines = importlib.metadata.requires("sottovoce") or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    found = [match for line in lines if "liboqs" not in line and (match := _LIBRARY.match(line))]
    return tuple(Library(match[1], match[2], _installed(match[1])) for match in found)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _softhsm_version() -> str | None:
    tool = shutil.which("softhsm2-util")
    if tool is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  the tool of the system, no shell
            [tool, "--version"], capture_output=True, check=False, timeout=_TOOL_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("ascii", "replace").strip()[:20] or None


def _encrypted_devices() -> frozenset[str]:
    found = Path("/sys/block").glob("dm-*/dm/uuid") if Path("/sys/block").is_dir() else ()
    return frozenset(f"/dev/{path.parts[-3]}" for path in found if read_text(path).startswith("CRYPT-"))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _is_synchronised() -> bool | None:
    """Ask the kernel whether something keeps its clock (adjtimex(2), which changes nothing when asked so)."""
    clock_is_off = 5
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != clock_is_off


def _missing() -> tuple[str, ...]:
    lacks: list[str] = []
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        lacks.append("pidfd_open (Linux 5.3)")
    try:
        time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):
        lacks.append("CLOCK_BOOTTIME")
    if not Path("/proc/self/fd").is_dir():
        lacks.append("/proc")
    return tuple(lacks)
