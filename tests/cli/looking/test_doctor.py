import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.peers.servers.processes import free_port
from tests.cli.conftest import Cli
from tests.running import environment, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
QUIET = '[listener]\naddress = "127.0.0.1:0"\n\n[admin]\naddress = "127.0.0.1:0"\n'
MACHINE = ("clock", "descriptors", "swap", "core dumps", "disk")
"""What this machine itself may be warned about."""


@pytest.fixture
def quiet(directory: Path) -> Path:
    (directory / "sottovoce.toml").write_text(QUIET)
    return directory


def test_a_directory_that_is_well(cli: Cli, quiet: Path) -> None:
    ran = cli("doctor", quiet)
    assert ran.code == 0, ran.out
    assert ran.err == ""
    assert ran.out.splitlines()[-1].startswith("all is well, ")


def test_what_fails_stands_first_with_its_remedy(cli: Cli, quiet: Path) -> None:
    (quiet / "secrets/pin").chmod(0o644)
    ran = cli("doctor", quiet)
    assert ran.code == 3
    first, second, *rest = ran.out.splitlines()
    assert first.split()[:2] == ["fail", "pin"]
    assert second.strip() == f"-> chmod 600 {quiet}/secrets/pin"
    assert rest[-1].startswith("1 failed, ")
    assert any(line.startswith("waits  keys ") for line in rest)


def test_json_has_the_same(cli: Cli, quiet: Path) -> None:
    (quiet / "secrets/pin").unlink()
    ran = cli("doctor", quiet, "--json")
    assert ran.code == 3
    assert ran.json["schema"] == "sottovoce.doctor.1"
    assert (ran.json["ok"], ran.json["failed"]) == (False, 1)
    first = ran.json["findings"][0]
    assert (first["name"], first["state"], first["waits_for"]) == ("pin", "fail", "")
    assert first["remedy"]
    assert {each["waits_for"] for each in ran.json["findings"] if each["state"] == "waits"} == {"pin"}


def test_what_is_not_there_cannot_be_looked_at(cli: Cli, tmp_path: Path) -> None:
    ran = cli("doctor", tmp_path / "none")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no such directory; make it with: sottovoce init " in ran.said
    ran = cli("doctor", "ws://localhost/echo", "--json")
    assert (ran.code, ran.json["ok"]) == (1, False)
    assert "use wss://" in ran.json["error"]


def test_without_a_directory_the_machine_alone_is_looked_at(
    cli: Cli, tmp_path: Path, quiet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("doctor")
    assert ran.said == "no directory is given: the machine alone is looked at"
    assert "python" in ran.out
    assert "  token  " not in ran.out
    monkeypatch.chdir(quiet)
    assert "  token  " in cli("doctor").out


def test_options_of_the_other_kind_are_usage(cli: Cli, quiet: Path) -> None:
    ran = cli("doctor", quiet, "--ca", "x.pem")
    assert (ran.code, ran.out) == (2, "")
    assert "are for a URL" in ran.err


def test_a_url_is_looked_at_from_the_clients_side(cli: Cli, quiet: Path) -> None:
    with running_proxy(quiet) as proxy:
        ran = cli("doctor", f"{proxy.url}/echo", "--dir", quiet)
        assert (ran.code, ran.err) == (0, ""), ran.out
        assert "50 frames came back for 50" in ran.out
        local = cli("doctor", quiet, "--json").json
        assert local["failed"] == 0, local
        keys = next(each for each in local["findings"] if each["name"] == "keys")
        assert f"(pid {proxy.pid})" in keys["what"]
        before = [path.stat().st_mtime_ns for path in (quiet / "hsm").rglob("*")]
        assert cli("doctor", quiet).code == 0
        assert [path.stat().st_mtime_ns for path in (quiet / "hsm").rglob("*")] == before
        missing = cli("doctor", f"{proxy.url}/none", "--dir", quiet, "--json")
        assert (missing.code, missing.json["findings"][0]["name"]) == (3, "upgrade")


@pytest.mark.parametrize(
    ("limit", "values", "name", "remedy"),
    [
        (resource.RLIMIT_NOFILE, (64, 64), "descriptors", "ulimit -n "),
        (resource.RLIMIT_CORE, (1_000_000, 1_000_000), "core dumps", "LimitCORE=0"),
    ],
)
def test_a_limit_of_the_real_process_is_seen(
    quiet: Path, limit: int, values: tuple[int, int], name: str, remedy: str
) -> None:
    if 0 <= resource.getrlimit(limit)[1] < values[1]:
        pytest.skip("this process may not raise that limit")
    program = f"import resource, sys; resource.setrlimit({limit}, {values}); from sottovoce.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "doctor", str(quiet)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if f" {name} " in line)
    assert lines[place].split()[0] in {"fail", "warn"}
    assert remedy in lines[place + 1]
    assert done.returncode == (3 if name == "descriptors" else 0)


def wrong_pin(directory: Path) -> None:
    (directory / "secrets/pin").write_text("00112233445566778899aabbccddeeff\n")


def no_token(directory: Path) -> None:
    (directory / "hsm/tokens").rename(directory / "away")


@pytest.mark.parametrize(
    ("plant", "name", "what"), [(wrong_pin, "keys", "does not open token"), (no_token, "token", "is missing")]
)
def test_a_token_that_is_lost_under_a_running_proxy_is_one_failure(
    cli: Cli, quiet: Path, plant: Callable[[Path], None], name: str, what: str
) -> None:
    """Its replacement cannot start: that is said once, and what needs the token waits for it."""
    address = f"127.0.0.1:{free_port()}"
    (quiet / "sottovoce.toml").write_text(
        QUIET.replace('[admin]\naddress = "127.0.0.1:0', f'[admin]\naddress = "{address}')
    )
    with running_proxy(quiet, f"admin.address={address}") as proxy:
        healthy = cli("doctor", quiet, "--json").json
        assert healthy["failed"] == 0
        assert "healthy" in next(each["what"] for each in healthy["findings"] if each["name"] == "proxy")
        plant(quiet)
        os.kill(proxy.events("token.started")[-1]["pid"], signal.SIGKILL)
        while not proxy.events("token.lost"):
            time.sleep(0.05)  # another process notices
        found = failing(cli, quiet, what)
    assert found["name"] == name


def failing(cli: Cli, directory: Path, what: str) -> dict[str, Any]:
    """The one finding that fails, once it says that."""
    for _ in range(100):
        report = cli("doctor", directory, "--json").json
        bad = [each for each in report["findings"] if each["state"] == "fail"]
        assert len(bad) == report["failed"] <= 1, bad
        if bad and what in bad[0]["what"]:
            return bad[0]
        time.sleep(0.1)
    raise AssertionError(what)
