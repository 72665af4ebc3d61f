"""config/deploy/sottovoce.service: what systemd says of it, and what it promises of us."""

import configparser
import subprocess
from pathlib import Path

import pytest

from sottovoce.settings import build
from tests.conftest import find_tool

UNIT = Path(__file__).parents[2] / "config/deploy/sottovoce.service"
TOOL = "systemd-analyze"


def service() -> "configparser.SectionProxy":
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser["Service"]


@pytest.mark.interop(tool=TOOL)
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    """But that neither the program nor the user is on this machine: both are replaced by some that are."""
    tool = find_tool(TOOL)
    assert tool is not None
    text = UNIT.read_text().replace("/opt/sottovoce/bin/sottovoce", "/bin/true").replace("=sottovoce\n", "=root\n")
    unit = tmp_path / "sottovoce.service"
    unit.write_text(text)
    done = subprocess.run([tool, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "sottovoce.service" in line]) == (0, [])


def test_it_leaves_the_proxy_the_time_that_a_drain_takes() -> None:
    process = build({}).process
    assert int(service()["TimeoutStopSec"]) > process.drain_seconds + process.stop_seconds + 10


def test_it_gives_the_proxy_what_it_needs_and_no_more() -> None:
    unit = service()
    assert int(unit["LimitNOFILE"]) > 2 * build({}).listener.max_connections
    assert unit["ReadWritePaths"] in unit["ExecStart"]
    assert (unit["Type"], unit["KillMode"], unit["LimitCORE"]) == ("exec", "mixed", "0")
    assert "HUP" in unit["ExecReload"]
    assert "MemoryDenyWriteExecute" not in unit
