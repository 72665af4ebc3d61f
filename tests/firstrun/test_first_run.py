"""Two strangers reach a sealed call in six commands, each of which something before it has printed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.firstrun.stranger import ROOT
from tests.firstrun.transcript import NAMES, Step, is_printed, read
from tests.running import environment

MAX_COMMANDS = 6
MAX_OWN_LINES = 15
_NO_NETWORK = ("unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""A network of its own: nothing but loopback, and every port is free."""


def without_network() -> tuple[str, ...]:
    """What to put before a command, where this machine lets us; nothing elsewhere."""
    if not shutil.which("unshare"):
        return ()
    tried = subprocess.run([*_NO_NETWORK, "true"], capture_output=True, check=False)
    return () if tried.returncode else _NO_NETWORK


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_reaches_a_sealed_call(name: str, tmp_path: Path) -> None:
    command = [*without_network(), sys.executable, "-m", "tests.firstrun", name]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(TMPDIR=str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "250 sent, 250 back, 0 lost" in done.stdout
    assert "signed by  ECDSA_P384 + MLDSA65" in done.stdout


@pytest.mark.soak
@pytest.mark.interop(tool=("git", "make", "softhsm2-util"))
def test_the_same_from_a_clone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.firstrun", "developer", "--fresh"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(TMPDIR=str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_no_more_than_six_commands(name: str) -> None:
    commands = [step.command for step in read(name)]
    first_call = next(place for place, each in enumerate(commands, 1) if each.startswith("sottovoce call "))
    assert first_call <= MAX_COMMANDS


def test_the_developers_own_code_is_short() -> None:
    (step,) = [step for step in read("developer") if " example " in step.command]
    sample = step.command.split()[2]
    text = (ROOT / f"proxy/sottovoce/cli/examples/samples/{sample}.txt").read_text()
    code = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) <= MAX_OWN_LINES


def test_what_counts_as_printed() -> None:
    text = "next:  sottovoce serve voice\n       sottovoce status   # how it does\nsay: sottovoce top; or not\n"
    assert is_printed("sottovoce serve voice", [text])
    assert is_printed("sottovoce status", [text])
    assert not is_printed("sottovoce serve", [text])
    assert not is_printed("sottovoce top", [text])
    assert not is_printed("serve voic", [text])


def test_other_ports_are_told_to_init_alone() -> None:
    ports = ("1", "2", "3")
    init = Step("sottovoce init voice --route bot=ws://127.0.0.1:9000", ()).with_ports(ports)
    assert init.typed == "sottovoce init voice --route bot=ws://127.0.0.1:3 --port 1 --admin-port 2"
    call = Step("sottovoce call wss://localhost:8443/bot &", ("at 9443",)).with_ports(ports)
    assert (call.command, call.is_background, call.seen) == ("sottovoce call wss://localhost:1/bot", True, ("at 2",))
