"""Judges what was read of the machine.  Pure: `host` reads."""

from collections.abc import Iterator
from typing import Final

from sottovoce.app.doctor.findings import Finding, fail, ok, warn
from sottovoce.app.doctor.host import Library, Machine

_LEAST_PYTHON: Final = (3, 11)
_ALWAYS_OPEN: Final = 128
"""Descriptors that the proxy has before there is a call."""
_PER_CALL: Final = 2
"""The client's connection and the backend's."""
_FEWEST_CALLS: Final = 64
_ALMOST: Final = 0.9
_USUAL_SOFT: Final = 1024
_OLDEST_NOW: Final = 1_767_225_600.0
"""The first day of 2026: this program is younger."""
_FOR_SHOW: Final = frozenset({"cryptography", "pyopenssl", "trio", "websockets", "python-pkcs11"})


def machine_findings(machine: Machine, calls: int) -> list[Finding]:
    """Judge everything; `calls` is how many the configuration lets in."""
    return [
        _python(machine),
        _kernel(machine),
        *_libraries(machine),
        _descriptors(machine, calls),
        _core_dumps(machine),
        _swap(machine),
        _tracing(machine),
        _clock(machine),
    ]


def _python(machine: Machine) -> Finding:
    version = ".".join(map(str, machine.python))
    if machine.python[:2] < _LEAST_PYTHON:
        return fail("python", f"Python {version} is too old", "install Python 3.11 or newer")
    return ok("python", f"Python {version}")


def _kernel(machine: Machine) -> Finding:
    if machine.system != "linux":
        return fail("kernel", f"the system is {machine.system}", "run the proxy on Linux; clients run anywhere")
    if machine.missing:
        lacking = ", ".join(machine.missing)
        return fail(
            "kernel", f"the kernel or its sandbox lacks {lacking}", "use Linux 5.3 or newer, with /proc mounted"
        )
    return ok("kernel", "Linux with all that is used of it")


def _libraries(machine: Machine) -> Iterator[Finding]:
    bad = [each for each in machine.libraries if each.installed is None or _is_older(each)]
    for each in bad:
        if each.installed is None:
            yield fail("libraries", f"{each.name} is not installed", "pip install 'sottovoce[server]'")
        else:
            what = f"{each.name} {each.installed} is older than {each.needed}"
            yield fail("libraries", what, f"pip install --upgrade '{each.name}>={each.needed}'")
    if not bad:
        shown = [f"{each.name} {each.installed}" for each in machine.libraries if each.name.lower() in _FOR_SHOW]
        softhsm = f"SoftHSM {machine.softhsm}" if machine.softhsm else "no softhsm2-util"
        liboqs = f"liboqs-python {machine.liboqs}" if machine.liboqs else "no liboqs (optional)"
        yield ok("libraries", ", ".join([*shown, f"OpenSSL {machine.openssl}", softhsm, liboqs]))


def _is_older(library: Library) -> bool:
    return _numbers(library.installed or "") < _numbers(library.needed)


def _numbers(version: str) -> list[int]:
    """Give a version's leading numbers: `1.4.1rc1` is 1.4.1 here, as near as it needs to be."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return numbers


def _descriptors(machine: Machine, calls: int) -> Finding:
    soft, hard = (1 << 30 if limit < 0 else limit for limit in machine.descriptors)
    wanted = _ALWAYS_OPEN + _PER_CALL * calls
    room = max(0, hard - _ALWAYS_OPEN) // _PER_CALL
    raise_it = f"LimitNOFILE={wanted} in the service's unit, or: ulimit -n {wanted}"
    if room < _FEWEST_CALLS:
        return fail("descriptors", f"{hard} files may be open at most: enough for {room} calls", raise_it)
    if room < _ALMOST * calls:
        what = f"{hard} files may be open at most: enough for {room} calls, and the configuration lets {calls} in"
        return warn("descriptors", what, raise_it)
    if soft < min(hard, _USUAL_SOFT):
        what = f"the soft limit is {soft} files; serve raises it to {hard} by itself, other commands do not"
        return warn("descriptors", what, f"ulimit -n {min(hard, wanted)}")
    return ok("descriptors", f"{hard} files may be open: enough for {min(calls, room)} calls")


def _core_dumps(machine: Machine) -> Finding:
    if machine.core_limit == 0:
        return ok("core dumps", "off")
    limit = "no limit" if machine.core_limit < 0 else f"up to {machine.core_limit} bytes"
    where = "a program" if machine.core_pattern.startswith("|") else "a file"
    what = f"on here ({limit}, to {where}); proxy and token process make none, other programs with keys do"
    return warn("core dumps", what, "LimitCORE=0 in the service's unit, or: ulimit -c 0")


def _swap(machine: Machine) -> Finding:
    devices = [line.split()[0] for line in machine.swaps.splitlines()[1:] if line.strip()]
    plain = [each for each in devices if not each.startswith("/dev/zram") and each not in machine.encrypted]
    if plain:
        what = f"swap on {', '.join(plain)} is not encrypted: keys in memory may be written to the disk"
        return warn(
            "swap", what, "swapoff -a and remove it from /etc/fstab, or encrypt it (crypttab with /dev/urandom)"
        )
    return ok("swap", "encrypted, or in memory" if devices else "off")


def _tracing(machine: Machine) -> Finding:
    if machine.ptrace_scope:
        return ok("tracing", f"other processes may not be traced (ptrace_scope {machine.ptrace_scope})")
    return ok("tracing", "processes of one user may trace each other; proxy and token process forbid it for themselves")


def _clock(machine: Machine) -> Finding:
    remedy = "timedatectl set-ntp true, or install chrony"
    if machine.wall < _OLDEST_NOW:
        return fail("clock", "this machine's clock is years behind: certificates will not be valid", remedy)
    if machine.is_clock_synchronised is False:
        return warn("clock", "nothing keeps this machine's clock right; five minutes off, clients refuse us", remedy)
    if machine.is_clock_synchronised is None:
        return ok("clock", "the kernel does not say whether something keeps it right")
    return ok("clock", "kept right by a time service")
