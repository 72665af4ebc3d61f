"""config/deploy: what systemd says of the units, and what they and the image promise of us."""

import configparser
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from sottovoce.settings import build
from tests.conftest import find_tool

DEPLOY = Path(__file__).parents[2] / "config/deploy"
UNIT, SOCKET, IMAGE = DEPLOY / "sottovoce.service", DEPLOY / "sottovoce.socket", DEPLOY / "Containerfile"
TOOL = "systemd-analyze"
INSTRUCTIONS = {
    *("FROM", "RUN", "COPY", "ENV", "USER", "VOLUME", "WORKDIR", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"),
    *("ENTRYPOINT", "CMD"),
}
"""Those that the image may use; not ADD, which fetches."""


def section(unit: Path, name: str) -> "configparser.SectionProxy":
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    return parser[name]


def service() -> "configparser.SectionProxy":
    return section(UNIT, "Service")


@pytest.mark.interop(tool=TOOL)
def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    """But that neither the program nor the user is on this machine: both are replaced by some that are."""
    tool = find_tool(TOOL)
    assert tool is not None
    text = UNIT.read_text().replace("/opt/sottovoce/bin/sottovoce", "/bin/true").replace("=sottovoce\n", "=root\n")
    units = tmp_path / UNIT.name, tmp_path / SOCKET.name
    units[0].write_text(text)
    units[1].write_text(SOCKET.read_text())
    done = subprocess.run([tool, "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "sottovoce." in line]) == (0, [])


@pytest.mark.interop(tool=TOOL)
def test_systemd_holds_it_to_be_well_confined() -> None:
    """By its own measure, 0 to 10: below 2 is what few units reach."""
    tool = find_tool(TOOL)
    assert tool is not None
    command = [tool, "security", "--offline=true", "--threshold=20", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_it_leaves_the_proxy_the_time_that_a_drain_takes() -> None:
    process = build({}).process
    assert int(service()["TimeoutStopSec"]) > process.drain_seconds + process.stop_seconds + 10


def test_it_gives_the_proxy_what_it_needs_and_no_more() -> None:
    unit = service()
    assert int(unit["LimitNOFILE"]) > 2 * build({}).listener.max_connections
    assert unit["ReadWritePaths"] in unit["ExecStart"]
    assert (unit["Type"], unit["KillMode"], unit["LimitCORE"]) == ("notify", "mixed", "0")
    assert "HUP" in unit["ExecReload"]
    assert "MemoryDenyWriteExecute" not in unit


def test_a_worker_without_memory_does_not_end_the_others() -> None:
    assert service()["OOMPolicy"] == "continue"


def test_systemds_socket_is_that_of_the_listener_as_the_proxy_would_bind_it() -> None:
    unit = section(SOCKET, "Socket")
    configuration = build({})
    assert unit["FileDescriptorName"] in configuration.all_listeners()
    assert unit["ListenStream"].rpartition(":")[2] == configuration.listener.address.rpartition(":")[2]
    assert unit["Accept"] == "no"


def instructions() -> list[tuple[str, str]]:
    """Give the image's instructions in their order, each on one line."""
    text = re.sub(r"^#.*\n", "", IMAGE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


def the(name: str) -> str:
    (rest,) = [rest for instruction, rest in instructions() if instruction == name]
    return rest


def test_the_image_is_made_of_known_instructions_and_of_two_files() -> None:
    given = instructions()
    assert {name for name, _ in given} == INSTRUCTIONS
    assert given[0][0] == "FROM"
    copies = [shlex.split(rest) for name, rest in given if name == "COPY"]
    assert copies == [["server.lock", "sottovoce-*.whl", "/build/"], ["--from=build", *["/opt/sottovoce"] * 2]]
    assert all("--require-hashes" in rest or "--no-deps" in rest for name, rest in given if "pip install" in rest)


@pytest.mark.parametrize("commands", [rest for name, rest in instructions() if name == "RUN"])
def test_the_images_commands_are_a_shells(commands: str) -> None:
    done = subprocess.run(["/bin/sh", "-n", "-c", commands], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_serves_as_nobody_in_particular_what_the_unit_serves() -> None:
    given = instructions()
    users = [rest for name, rest in given if name == "USER"]
    assert users == ["10001:10001"]
    assert given.index(("USER", users[0])) > max(at for at, (name, _) in enumerate(given) if name in {"RUN", "COPY"})
    start = [*json.loads(the("ENTRYPOINT")), *json.loads(the("CMD"))]
    assert start == service()["ExecStart"].split()
    assert the("VOLUME") == the("WORKDIR") == str(Path(service()["ReadWritePaths"]).parent)
    assert the("EXPOSE") == build({}).listener.address.rpartition(":")[2]


@pytest.mark.parametrize(("answers", "is_well"), [(0, True), (3, True), (1, False), (2, False)])
def test_the_images_health_is_whether_the_proxy_answers(answers: int, is_well: bool, tmp_path: Path) -> None:  # noqa: FBT001  a parameter of pytest
    program = tmp_path / "sottovoce"
    program.write_text(f"#!/bin/sh\nexit {answers}\n")
    program.chmod(0o755)
    command = the("HEALTHCHECK").partition("CMD ")[2]
    done = subprocess.run(["/bin/sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) == is_well
