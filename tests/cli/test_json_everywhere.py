"""Every command there is, piped through a JSON parser: one object with its schema, and nothing else, well or failed."""

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from loadtest.commands.tree import main as loadtest
from sottovoce.cli.tree import commands
from tests.cli.walking import leaves
from tests.recordings import write_recording
from tests.running import ROOT, RunningProxy, copy_directory, environment, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")

WELL = {
    "init": "{tmp}/fresh --port 0 --admin-port 0 --route bot=ws://127.0.0.1:9000",
    "status": "{admin}",
    "top": "{admin}",
    "check": "{directory}",
    "call": "{url}/echo {wav} --dir {served}",
    "demo": "",
    "example": "raw-asyncio",
    "clients add": "{directory} kiosk --token --audience localhost:8443",
    "clients list": "{directory}",
    "clients revoke": "{directory} somebody",
    "clients keygen": "--out {tmp}/my.key",
    "anchor list": "{directory}",
    "anchor rotate": "{directory}",
    "anchor switch": "{directory}",
    "hsm list": "{directory}",
    "hsm status": "{admin}",
    "hsm test": "{directory}",
    "hsm init": "{directory} b",
    "hsm bench": "{directory} --seconds 0.3",
    "hsm key list": "{directory}",
    "hsm key show": "{directory} sottovoce-serving",
    "audit verify": "{directory}",
    "audit tail": "{directory}",
    "doctor": "{url}/echo --dir {served}",
    "explain": "4450",
    "inspect": "{directory}/certs/ca.pem",
}
"""Words with which a command does well."""
BEFORE = {
    "clients revoke": "clients add {directory} somebody --token --audience localhost:8443",
    "anchor switch": "anchor rotate {directory}",
}
"""What has to be done first."""
ELSEWHERE = {
    "serve",  # below: it does not end by itself
    "hsm key destroy",  # tests/cli/hsm: it wants a key that no command makes
    "hsm failover",  # tests/cli/hsm: it wants two tokens
    "hsm seal",  # tests/cli/hsm: it wants a seal
    "hsm unseal",  # likewise
    "hsm sync",  # tests/cli/hsm: it wants two tokens
    "anchor retire",  # tests/cli/keeping: it wants an anchor whose last certificate has expired
}
FAILING = {
    "init": "{directory}",
    "serve": "{tmp}/none",
    "status": "http://127.0.0.1:1",
    "top": "http://127.0.0.1:1",
    "check": "{directory} --set voice.epoch_seconds=1",
    "call": "{url}/none {wav} --dir {served}",
    "demo": "--nonsense",
    "example": "nonsense",
    "clients add": "{directory} kiosk",
    "clients list": "{tmp}/none",
    "clients revoke": "{directory} nobody",
    "clients keygen": "--out {directory}/secrets/pin",
    "anchor list": "{tmp}/none",
    "anchor rotate": "{tmp}/none",
    "anchor switch": "{directory}",
    "anchor retire": "{directory}",
    "hsm list": "{tmp}/none",
    "hsm status": "http://127.0.0.1:1",
    "hsm test": "{directory} --node none",
    "hsm init": "{directory} B",
    "hsm sync": "{directory} main main",
    "hsm bench": "{directory} --node none",
    "hsm failover": "{directory} main",
    "hsm seal": "{directory} --reason none",
    "hsm unseal": "{directory}",
    "hsm key list": "{tmp}/none",
    "hsm key show": "{directory} none",
    "hsm key destroy": "{directory} sottovoce-kek --yes",
    "audit verify": "{tmp}/none",
    "audit tail": "{directory} -n 0",
    "doctor": "wss://localhost:1/echo --dir {served}",
    "explain": "4999",
    "inspect": "{tmp}/none",
}
"""Words with which it does not."""
WELL_OF_LOADTEST = {"run": "--url {url}/echo --dir {served} --sessions 1 --seconds 0.5", "scenarios": ""}
LONG = {"compare", "bench", "knee", "diff"}
"""tests/loadtest has them do well, with less than they do for real."""
FAILING_OF_LOADTEST = {
    "run": "--url wss://localhost:1/echo --dir {served} --sessions 1 --seconds 0.5",
    "compare": "--against nonsense",
    "knee": "--url wss://localhost:1/echo --dir {tmp}/none",
    "diff": "{tmp}/none {tmp}/none",
    "scenarios": "nonsense",
    "bench": "nonsense",
}


def test_each_command_is_in_the_tables_and_knows_json() -> None:
    ours, of_loadtest = dict(leaves(commands)), dict(leaves(loadtest))
    assert set(ours) == set(WELL) | ELSEWHERE == set(FAILING)
    assert set(of_loadtest) == set(WELL_OF_LOADTEST) | LONG == set(FAILING_OF_LOADTEST)
    options = {name: [word for each in command.params for word in each.opts] for name, command in ours.items()}
    options |= {f"loadtest {name}": [w for each in c.params for w in each.opts] for name, c in of_loadtest.items()}
    assert [name for name, words in options.items() if "--json" not in words] == []


@pytest.fixture(scope="module")
def proxy(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    with running_proxy(copy_directory(made, tmp_path_factory.mktemp("served"))) as proxy:
        yield proxy


@pytest.fixture
def places(directory: Path, tmp_path: Path, proxy: RunningProxy) -> dict[str, str | Path]:
    """What stands in the tables in braces."""
    return {
        "tmp": tmp_path,
        "directory": directory,
        "wav": write_recording(tmp_path / "in.wav"),
        "served": proxy.directory,
        "url": proxy.url,
        "admin": proxy.admin,
    }


def run(module: str, words: str, places: dict[str, str | Path]) -> "subprocess.CompletedProcess[str]":
    cwd = places.get("tmp", ROOT)
    return subprocess.run(
        [sys.executable, "-m", module, *words.format_map(places).split(), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
    )


def parsed(done: "subprocess.CompletedProcess[str]", schema: str) -> dict[str, Any]:
    """What is on standard output: an object, a new line, and nothing else."""
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert found["schema"] == schema
    assert found["ok"] is (done.returncode == 0), done.stderr
    return found


@pytest.mark.parametrize("name", WELL)
def test_a_command_that_does_well(name: str, places: dict[str, str | Path]) -> None:
    if name in BEFORE:
        assert run("sottovoce", BEFORE[name], places).returncode == 0
    done = run("sottovoce", f"{name} {WELL[name]}", places)
    assert done.returncode == 0, done.stderr
    parsed(done, f"sottovoce.{name.replace(' ', '.')}.1")


@pytest.mark.parametrize("name", FAILING)
def test_a_command_that_fails(name: str, places: dict[str, str | Path]) -> None:
    done = run("sottovoce", f"{name} {FAILING[name]}", places)
    assert done.returncode in {1, 2, 3}, done.stderr
    parsed(done, f"sottovoce.{name.replace(' ', '.')}.1")


def test_a_proxy_that_serves(directory: Path) -> None:
    words = ["serve", str(directory), "--set", "admin.address=127.0.0.1:0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "sottovoce", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert (json.loads(line)["schema"], rest, process.returncode) == ("sottovoce.serve.1", "", 0)


@pytest.mark.parametrize("name", WELL_OF_LOADTEST)
def test_a_command_of_loadtest_that_does_well(name: str, places: dict[str, str | Path]) -> None:
    done = run("loadtest", f"{name} {WELL_OF_LOADTEST[name]}", places)
    assert done.returncode == 0, done.stderr
    parsed(done, f"loadtest.{name}/1")


@pytest.mark.parametrize("name", FAILING_OF_LOADTEST)
def test_a_command_of_loadtest_that_fails(name: str, places: dict[str, str | Path]) -> None:
    done = run("loadtest", f"{name} {FAILING_OF_LOADTEST[name]}", places)
    assert done.returncode in {1, 2}, done.stderr
    parsed(done, f"loadtest.{name}/1")
