import os
import resource
from typing import Any

import msgspec
import pytest

from sottovoce.app.doctor import Finding, Machine, State, read_machine
from sottovoce.app.doctor.host import Library, parse_limits, under_limits_of
from sottovoce.app.doctor.machine import machine_findings
from tests.app.doctor.conftest import NO_SWAP

CALLS = 1_000


def judged(machine: Machine, name: str, **readings: Any) -> Finding:
    changed = msgspec.structs.replace(machine, **readings)
    (finding,) = [each for each in machine_findings(changed, CALLS) if each.name == name]
    assert bool(finding.remedy) == (finding.state is not State.OK)
    return finding


def test_a_real_machine_can_be_read_and_judged() -> None:
    machine = read_machine()
    findings = machine_findings(machine, CALLS)
    assert {each.name for each in findings} == {
        *("python", "kernel", "libraries", "descriptors", "core dumps", "swap", "tracing", "clock")
    }
    versions = next(each.what for each in findings if each.name == "libraries")
    for name in ("cryptography", "pyopenssl", "trio", "websockets", "python-pkcs11", "OpenSSL", "liboqs"):
        assert name in versions
    assert machine.softhsm is None or machine.softhsm in versions


@pytest.mark.parametrize(
    ("name", "readings", "state", "what"),
    [
        ("python", {"python": (3, 10, 4)}, State.FAIL, "Python 3.10.4 is too old"),
        ("python", {"python": (3, 14, 0)}, State.OK, "Python 3.14.0"),
        ("kernel", {"system": "darwin"}, State.FAIL, "the system is darwin"),
        ("kernel", {"missing": ("pidfd_open (Linux 5.3)",)}, State.FAIL, "lacks pidfd_open (Linux 5.3)"),
        ("libraries", {"libraries": (Library("trio", "0.31", None),)}, State.FAIL, "trio is not installed"),
        ("libraries", {"libraries": (Library("trio", "0.31", "0.4.1"),)}, State.FAIL, "trio 0.4.1 is older than 0.31"),
        ("libraries", {"libraries": (Library("trio", "0.31", "0.31.0rc1"),)}, State.OK, "trio 0.31.0rc1"),
        (
            "libraries",
            {"libraries": (), "liboqs": "0.14", "softhsm": None},
            State.OK,
            "no softhsm2-util, liboqs-python",
        ),
        ("descriptors", {"descriptors": (64, 64)}, State.FAIL, "64 files may be open at most: enough for 0 calls"),
        ("descriptors", {"descriptors": (1024, 1024)}, State.WARN, "enough for 448 calls"),
        ("descriptors", {"descriptors": (64, -1)}, State.WARN, "the soft limit is 64 files"),
        ("descriptors", {"descriptors": (-1, -1)}, State.OK, "enough for 1000 calls"),
        ("core dumps", {"core_limit": 0}, State.OK, "off"),
        ("core dumps", {"core_limit": 512, "core_pattern": "|/usr/bin/x"}, State.WARN, "up to 512 bytes, to a program"),
        ("swap", {"swaps": NO_SWAP}, State.OK, "off"),
        ("swap", {"swaps": ""}, State.OK, "off"),
        ("swap", {"swaps": NO_SWAP + "/dev/zram0 partition 8 0 5\n"}, State.OK, "encrypted, or in memory"),
        ("swap", {"swaps": NO_SWAP + "/swapfile file 8 0 5\n"}, State.WARN, "swap on /swapfile is not encrypted"),
        ("tracing", {"ptrace_scope": 1}, State.OK, "ptrace_scope 1"),
        ("tracing", {"ptrace_scope": 0}, State.OK, "proxy and token process forbid it"),
        ("tracing", {"ptrace_scope": None}, State.OK, "proxy and token process forbid it"),
        ("clock", {"is_clock_synchronised": None}, State.OK, "does not say"),
        ("clock", {"is_clock_synchronised": False}, State.WARN, "nothing keeps"),
        ("clock", {"wall": 0.0}, State.FAIL, "years behind"),
    ],
)
def test_each_reading_is_judged(machine: Machine, name: str, readings: dict[str, Any], state: State, what: str) -> None:
    finding = judged(machine, name, **readings)
    assert finding.state is state
    assert what in finding.what


def test_the_limits_of_another_process_are_read(machine: Machine) -> None:
    text = """Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max core file size        0                    unlimited            bytes
Max open files            64                   4096                 files
nonsense
"""
    limits = parse_limits(text)
    assert limits["Max open files"] == (64, 4096)
    assert limits["Max core file size"] == (0, -1)
    own = under_limits_of(machine, os.getpid())
    assert own.descriptors == resource.getrlimit(resource.RLIMIT_NOFILE)
    assert under_limits_of(machine, 0) == machine


def test_swap_on_an_encrypted_device_is_fine(machine: Machine) -> None:
    swaps = NO_SWAP + "/dev/dm-1 partition 8 0 5\n"
    assert judged(machine, "swap", swaps=swaps).state is State.WARN
    assert judged(machine, "swap", swaps=swaps, encrypted=frozenset({"/dev/dm-1"})).state is State.OK
