import subprocess
import sys

import pytest

from sottovoce.app.explaining import TABLE
from tests.cli.conftest import Cli

_BLOCKED = "sys.modules.update(dict.fromkeys(('structlog', 'pkcs11', 'rich', 'starlette', 'hypercorn')))"
"""What is None there cannot be imported."""


def test_a_code_is_explained(cli: Cli) -> None:
    ran = cli("explain", "4450")
    assert (ran.code, ran.err) == (0, "")
    first, meaning, *rest = ran.out.splitlines()
    assert first == "4450 backend_down (end of a call)"
    assert meaning.startswith("  The service behind the proxy is not there")
    assert rest[0] == "  usual causes"
    assert "  what to do" in rest
    assert cli("explain", "backend_down").out == ran.out


@pytest.mark.parametrize("word", ["flood", "token.lost", "116", "404", "3", "expired"])
def test_whatever_has_a_name_is_explained(cli: Cli, word: str) -> None:
    assert cli("explain", word).code == 0


def test_without_a_code_all_are_listed(cli: Cli) -> None:
    ran = cli("explain")
    assert ran.code == 0
    assert all(entry.title in ran.out for entry in TABLE)


def test_a_slip_is_one_line_with_what_is_near(cli: Cli) -> None:
    ran = cli("explain", "backend_dwn")
    assert (ran.code, ran.out) == (1, "")
    assert ran.said.startswith("there is no backend_dwn; did you mean backend_down, ")
    assert cli("explain", "zzzzzzzz").said == "there is no zzzzzzzz; sottovoce explain lists all"
    assert cli("explain", "\x1b[2J").said.startswith("there is no ?[2J; ")


def test_json_has_the_same(cli: Cli) -> None:
    ran = cli("explain", "flood", "--json")
    assert ran.json["schema"] == "sottovoce.explain.1"
    (entry,) = ran.json["entries"]
    assert entry["kind"] == "backend fault"
    assert entry["name"] == "flood"
    assert entry["remedies"]
    assert len(cli("explain", "--json").json["entries"]) == len(TABLE)
    wrong = cli("explain", "floodd", "--json")
    assert (wrong.code, wrong.json["ok"], wrong.json["nearest"][0]) == (1, False, "flood")


def test_the_base_installation_is_enough() -> None:
    """Whoever has only a client meets codes, too."""
    program = f"import sys; {_BLOCKED}; from sottovoce.cli import main; main(['explain', '4401'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("4401 auth_failed")
