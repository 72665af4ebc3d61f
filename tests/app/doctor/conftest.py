"""Healthy machines and directories for a doctor to look at, each test with its own to spoil."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sottovoce.app.doctor import Machine, read_machine
from tests.running import ROOT, environment

QUIET = '[listener]\naddress = "127.0.0.1:0"\n\n[admin]\naddress = "127.0.0.1:0"\n'
"""A configuration that wants no port of this machine."""
NO_SWAP = "Filename\tType\tSize\tUsed\tPriority\n"
Shifted = Callable[[int], Path]


@pytest.fixture(scope="session")
def machine() -> Machine:
    """This machine with nothing to say against it."""
    return msgspec.structs.replace(
        read_machine(),
        descriptors=(20_000, 1 << 20),
        core_limit=0,
        swaps=NO_SWAP,
        is_clock_synchronised=True,
        ptrace_scope=1,
    )


@pytest.fixture
def file(directory: Path) -> Path:
    """The configuration of a directory that wants no port of this machine."""
    path = directory / "sottovoce.toml"
    path.write_text(QUIET)
    return path


@pytest.fixture(scope="session")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Shifted:
    """A directory that was made on a machine whose clock was so many days behind; copy it before you spoil it."""
    made: dict[int, Path] = {}

    def directory(days: int) -> Path:
        if days not in made:
            made[days] = tmp_path_factory.mktemp("shifted") / "voice"
            command = [sys.executable, "-m", "tests.app.doctor.shifted_clock", "init", str(made[days]), "--port", "0"]
            env = environment(SHIFTED_DAYS=str(days))
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return made[days]

    return directory


def copied(directory: Path, parent: Path) -> Path:
    """Copy a directory, with a configuration that wants no port; give that."""
    copy = Path(shutil.copytree(directory, parent / "copy"))
    (copy / "sottovoce.toml").write_text(QUIET)
    return copy / "sottovoce.toml"
