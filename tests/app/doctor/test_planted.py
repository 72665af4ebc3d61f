"""The doctor finds each planted fault, names its remedy, and says nothing else."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from sottovoce.app.doctor import Finding, Machine, Report, State, examine_directory
from tests.app.doctor.conftest import QUIET, Shifted, copied

pytestmark = pytest.mark.interop(tool="softhsm2-util")
YEARS = 365

_LISTENING = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


def the_one(report: Report, state: State = State.FAIL) -> Finding:
    """The one line that is neither well nor waiting for it."""
    bad = [each for each in report.findings if each.state in {State.FAIL, State.WARN}]
    assert len(bad) == 1, bad
    assert bad[0].state is state
    assert report.findings[0] is bad[0]
    assert bad[0].remedy
    waiting = [each for each in report.findings if each.state is State.WAITS]
    assert all(each.waits_for == bad[0].name for each in waiting), waiting
    return bad[0]


def configure(file: Path, text: str) -> None:
    file.write_text(text)


async def test_nothing_is_said_against_a_healthy_directory(file: Path, machine: Machine) -> None:
    report = await examine_directory(file, machine)
    assert [each for each in report.findings if each.state is not State.OK] == []
    assert (report.failed, report.warned) == (0, 0)
    names = {each.name for each in report.findings}
    assert names >= {
        "python",
        "libraries",
        "tls",
        "token",
        "pin",
        "keys",
        "certificates",
        "anchor",
        "audit",
        "port admin",
    }
    assert not list((file.parent / "hsm").glob(".doctor-*"))


@pytest.fixture
def file_of_three(three: Path) -> Path:
    path = three / "sottovoce.toml"
    path.write_text(path.read_text().replace(":8443", ":0").replace(":9443", ":0"))
    return path


async def test_each_of_three_tokens_is_looked_at_by_its_name(file_of_three: Path, machine: Machine) -> None:
    report = await examine_directory(file_of_three, machine)
    assert [each for each in report.findings if each.state is not State.OK] == []
    names = {each.name for each in report.findings}
    assert names >= {f"{what} {token}" for what in ("token", "pin", "keys") for token in "abc"}
    (anchor,) = [each for each in report.findings if each.name == "anchor"]
    assert anchor.what.endswith("which is of tokens a, b, c")


@pytest.mark.parametrize(
    ("name", "bad", "what"),
    [
        ("hsm/b/tokens", "token b", "the directory of tokens"),
        ("hsm/b", "token b", "cannot be read (No such file"),
        ("secrets/b.pin", "pin b", "cannot be read (No such file"),
        ("keys/b/serving.mldsa65.json", "keys b", "cannot be read (No such file"),
    ],
)
async def test_what_is_wrong_with_one_of_three_tokens_has_its_name(
    file_of_three: Path, machine: Machine, name: str, bad: str, what: str
) -> None:
    (file_of_three.parent / name).rename(file_of_three.parent / "elsewhere")
    report = await examine_directory(file_of_three, machine)
    assert what in (found := the_one(report)).what
    assert found.name == bad
    assert {each.name for each in report.findings if each.state is State.WAITS} <= {"keys b"}


async def test_a_token_that_the_others_know_by_other_keys(file_of_three: Path, machine: Machine) -> None:
    path = file_of_three.parent / "keys/serving.json"
    listed = json.loads(path.read_text())
    nodes = listed["nodes"]
    nodes["a"], nodes["b"] = nodes["b"], nodes["a"]
    path.write_text(json.dumps(listed))
    report = await examine_directory(file_of_three, machine)
    bad = [each for each in report.findings if each.state is State.FAIL]
    assert [each.name for each in bad] == ["keys a", "keys b"]
    assert "serving.json holds other keys of token a than it has" in bad[0].what


# Each plants a fault into a directory and gives what its line and its remedy have to say.
Plant = Callable[[Path], None]


def open_pin(directory: Path) -> None:
    (directory / "secrets/pin").chmod(0o644)


def missing_pin(directory: Path) -> None:
    (directory / "secrets/pin").unlink()


def empty_pin(directory: Path) -> None:
    (directory / "secrets/pin").write_text("")


def wrong_pin(directory: Path) -> None:
    (directory / "secrets/pin").write_text("00112233445566778899aabbccddeeff\n")


def no_module(directory: Path) -> None:
    (directory / "sottovoce.toml").write_text(QUIET + '[hsm]\nmodule = "/nowhere/libpkcs11.so"\n')


def token_moved(directory: Path) -> None:
    (directory / "hsm/tokens").rename(directory / "elsewhere")


def token_emptied(directory: Path) -> None:
    (token,) = (directory / "hsm/tokens").iterdir()
    (token / "token.object").write_bytes(b"")


def typo(directory: Path) -> None:
    (directory / "sottovoce.toml").write_text("[lisener]\n")


def no_toml(directory: Path) -> None:
    (directory / "sottovoce.toml").write_text("nonsense")


def open_secrets(directory: Path) -> None:
    (directory / "secrets").chmod(0o755)


def others_write(directory: Path) -> None:
    (directory / "certs").chmod(0o777)


def no_certificate(directory: Path) -> None:
    (directory / "certs/issuing.pem").write_text("nonsense")


def changed_audit(directory: Path) -> None:
    log = directory / "audit/audit.log"
    log.write_bytes(log.read_bytes().replace(b"key", b"kex", 1))


def no_audit(directory: Path) -> None:
    (directory / "audit/audit.log").unlink()


def damaged_seed(directory: Path) -> None:
    path = directory / "keys/anchor.mldsa87.json"
    seed = json.loads(path.read_text())
    seed["sealed"] = ("A" if seed["sealed"][0] != "A" else "B") + seed["sealed"][1:]
    path.write_text(json.dumps(seed))


@pytest.mark.parametrize(
    ("plant", "name", "what", "remedy"),
    [
        (open_pin, "pin", "is open to others (mode 0644)", "chmod 600 "),
        (missing_pin, "pin", "No such file", "restore it from its backup"),
        (empty_pin, "pin", "holds no PIN", "write the token's PIN into "),
        (wrong_pin, "pin", "does not open token 'sottovoce'", "put the right PIN there (it was tried once)"),
        (no_module, "softhsm", "/nowhere/libpkcs11.so cannot be read", "the path of your HSM's PKCS#11 library"),
        (token_moved, "token", "the directory of tokens", "restore the directory from its backup"),
        (token_emptied, "token", "is empty: a process was killed", "restore the directory from its backup"),
        (typo, "configuration", "lisener: there is no such section", "did you mean listener?"),
        (no_toml, "configuration", "this is not TOML", "write [section] lines"),
        (open_secrets, "permissions", "secrets is open to others (mode 0755)", "chmod 700 "),
        (others_write, "permissions", "others may write", "chmod go-w "),
        (no_certificate, "certificates", "holds no PEM certificate", "restore it from its backup"),
        (changed_audit, "audit", "audit.log", ""),
        (no_audit, "audit", "is missing", "restore it from its backup"),
        (damaged_seed, "keys", "anchor.mldsa87.json", "restore"),
    ],
)
async def test_a_planted_fault_is_the_one_line_that_fails(  # noqa: PLR0913, PLR0917  a table's columns
    file: Path, machine: Machine, plant: Plant, name: str, what: str, remedy: str
) -> None:
    plant(file.parent)
    found = the_one(await examine_directory(file, machine))
    assert found.name == name
    assert what in found.what
    assert remedy in found.remedy
    assert "001122" not in found.what + found.remedy
    assert not list((file.parent / "hsm").glob(".doctor-*"))


def abandoned(directory: Path, name: str, *, age_seconds: float) -> Path:
    """A copy of the token that a doctor left who was killed."""
    place = directory / "hsm" / name
    (place / "tokens").mkdir(parents=True)
    then = time.time() - age_seconds
    os.utime(place, (then, then))
    return place


async def test_what_a_killed_doctor_left_is_removed_and_what_another_uses_is_not(file: Path, machine: Machine) -> None:
    old = abandoned(file.parent, ".doctor-1", age_seconds=3600)
    fresh = abandoned(file.parent, ".doctor-2", age_seconds=1)
    assert (await examine_directory(file, machine)).failed == 0
    assert [path for path in (old, fresh) if path.exists()] == [fresh]


async def test_an_expired_issuing_ca(shifted: Shifted, machine: Machine, tmp_path: Path) -> None:
    found = the_one(await examine_directory(copied(shifted(6 * YEARS), tmp_path), machine))
    assert found.name == "certificates"
    assert "certs/issuing.pem has expired on " in found.what
    assert "sottovoce init DIR" in found.remedy


async def test_a_clock_before_the_certificates(shifted: Shifted, machine: Machine, tmp_path: Path) -> None:
    found = the_one(await examine_directory(copied(shifted(-YEARS), tmp_path), machine))
    assert found.name == "clock"
    assert "begins on " in found.what
    assert "timedatectl set-ntp true" in found.remedy


async def test_the_anchor_file_of_another_token(file: Path, shifted: Shifted, machine: Machine) -> None:
    shutil.copy(shifted(-YEARS) / "certs/anchor.json", file.parent / "certs/anchor.json")
    found = the_one(await examine_directory(file, machine))
    assert found.name == "anchor"
    assert "it is another token's file" in found.what
    assert "anchor.json from this directory's backup" in found.remedy


@contextmanager
def a_listening_process() -> Generator[tuple[int, int]]:
    """Give the pid and the port of another process that listens."""
    with subprocess.Popen([sys.executable, "-c", _LISTENING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


async def test_a_port_that_another_process_holds(file: Path, machine: Machine) -> None:
    with a_listening_process() as (pid, port):
        configure(file, QUIET.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        found = the_one(await examine_directory(file, machine))
    assert found.name == "port listener"
    assert f"127.0.0.1:{port} is in use by pid {pid} (" in found.what
    assert f"kill {pid}" in found.remedy
    assert "--set listener.address=127.0.0.1:PORT" in found.remedy


async def test_a_backend_that_is_down_is_a_warning(file: Path, machine: Machine) -> None:
    route = '[routes.bot]\nadapter = "raw"\nurl = "ws://127.0.0.1:1/"\nconnect_attempts = 1\n'
    configure(file, QUIET + route)
    found = the_one(await examine_directory(file, machine), State.WARN)
    assert found.name == "backend bot"
    assert "unreachable: 127.0.0.1:1: " in found.what
    assert "correct routes.bot.url" in found.remedy
    assert "sottovoce explain unreachable" in found.remedy


@pytest.mark.parametrize(
    ("reading", "name", "state", "what", "remedy"),
    [
        ({"descriptors": (64, 64)}, "descriptors", State.FAIL, "64 files may be open", "ulimit -n "),
        ({"descriptors": (64, 1 << 20)}, "descriptors", State.WARN, "the soft limit is 64", "ulimit -n "),
        ({"swaps": "Filename\n/dev/sda2 partition 1 0 -2\n"}, "swap", State.WARN, "swap on /dev/sda2", "swapoff -a"),
        ({"core_limit": -1, "core_pattern": "core"}, "core dumps", State.WARN, "no limit, to a file", "LimitCORE=0"),
        ({"is_clock_synchronised": False}, "clock", State.WARN, "nothing keeps this machine's clock", "set-ntp true"),
    ],
)
async def test_a_fault_of_the_machine(  # noqa: PLR0913, PLR0917  a table's columns
    file: Path, machine: Machine, reading: dict[str, object], name: str, state: State, what: str, remedy: str
) -> None:
    found = the_one(await examine_directory(file, msgspec.structs.replace(machine, **reading)), state)
    assert found.name == name
    assert what in found.what
    assert remedy in found.remedy
