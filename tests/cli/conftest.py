"""Commands run in this process, and a directory of `init` for each test to spoil."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sottovoce.cli.tree import run
from tests.running import copy_directory, make_directory

_UNWANTED = ("OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE", "SOTTOVOCE_DIR", "SOTTOVOCE_DEBUG")


class Ran(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The one line on standard error, log events aside.  More or less than one fails the test."""
        lines = [line for line in self.err.splitlines() if not line.startswith("{")]
        assert len(lines) == 1, self.err
        assert lines[0].isprintable()
        return lines[0].removeprefix("sottovoce: ")

    @property
    def json(self) -> dict[str, Any]:
        """What standard output holds: one JSON object, and nothing else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process, which stays as it is."""
    for name in _UNWANTED:
        monkeypatch.delenv(name, raising=False)

    def cli(*words: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(word) for word in words])
        sys.stdout.flush()
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return cli


@pytest.fixture(autouse=True)
def unhardened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `serve`, run in this process, not change what pytest may do."""
    monkeypatch.setattr("sottovoce.app.serving.lifetime.harden_process", lambda: 0)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as `sottovoce init` makes it.  Look, do not touch."""
    return make_directory(tmp_path_factory.mktemp("made"))


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy, for this test to spoil."""
    return copy_directory(made, tmp_path)
