import os
import subprocess
import sys
from pathlib import Path

import pytest

from sottovoce.cli import output
from sottovoce.cli.output import progress_bar, say_progress
from tests.running import SOTTOVOCE, environment

SERVER_ONLY = ("structlog", "pkcs11", "rich", "trio_websocket", "nacl", "aioquic")
_WITHOUT_SERVER = f"""
import sys
for name in {SERVER_ONLY}:
    sys.modules[name] = None
from sottovoce.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_is_watched", lambda: True)


def test_where_nobody_watches_no_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert progress_bar() is None
    say_progress("making a token")
    assert capsys.readouterr() == ("", "")


def test_a_bar_grows_and_goes(
    watched: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    show = progress_bar()
    assert show is not None
    show(150, 149, 300)
    show(300, 300, 300)
    out, err = capsys.readouterr()
    half, whole, _ = err.split("\r")
    assert out == ""
    assert half == f"  {'█' * 15:<30}  150/300 sent, 149 back"
    assert whole == f"  {'█' * 30}  300/300 sent, 300 back"


def test_a_dumb_terminal_gets_lines_and_no_bar(
    watched: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert progress_bar() is None
    say_progress("making a token")
    assert capsys.readouterr().err == "making a token\n"


def test_a_person_who_watches_sees_what_init_does_and_the_result_is_apart(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [*SOTTOVOCE, "init", str(tmp_path / "v"), "--json"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
            env=environment(),
        )
        os.close(theirs)
        seen = terminal.read(65536).decode()
    assert "making a token" in seen
    assert done.stdout.startswith(b'{"schema":"sottovoce.init.1"')


@pytest.mark.parametrize("words", [("init", "v"), ("serve", "v"), ("check", "v"), ("audit", "verify", "v"), ("demo",)])
def test_the_base_installation_says_what_the_server_needs(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SERVER, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("sottovoce: the package ")
    assert line.endswith(" is missing: pip install 'sottovoce[server]'")
    assert not list(tmp_path.iterdir())


def test_the_base_installation_can_call(made: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SERVER, "call", "wss://localhost:1/echo", "--tone", "--dir", str(made)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.stderr.startswith("sottovoce: cannot reach localhost:1: ")
