"""`sottovoce hsm test`: what tokens are claimed to do, and what they do."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.interop(tool="softhsm2-util")


def test_claims_stand_beside_what_was_found(cli: Cli, directory: Path) -> None:
    ran = cli("hsm", "test", directory)
    assert (ran.code, ran.err) == (0, "")
    first, headings, *rows, untried, last = ran.out.splitlines()
    assert first.startswith("token main: sottovoce, serial ")
    assert headings.split() == ["WHAT", "CLAIMED", "FOUND"]
    assert [row.split()[-1] for row in rows] == ["works"] * len(rows)
    assert any(row.split() == ["aes-kwp", "0x210A", "0x210A", "works"] for row in rows)
    assert untried == "claimed and not tried: sessions: no limit, idle sessions: not told"
    assert last == "it can be used"


def test_a_token_that_does_not_open_is_said_beside_one_that_does(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "two"
    assert cli("init", place, "--tokens", "2").code == 0
    (place / "secrets/b.pin").write_text("wrong" * 5)
    ran = cli("hsm", "test", place, "--json")
    assert ran.code == 3
    a, b = ran.json["tokens"]
    assert (a["is_well"], a["health"]["label"], a["trouble"]) == (True, "sottovoce-a", "")
    assert (b["is_well"], b["health"], b["trials"]) == (False, None, [])
    assert "does not open token 'sottovoce-b'" in b["trouble"]
    only = cli("hsm", "test", place, "--node", "b")
    assert (only.code, only.out.startswith("token b does not open: the PIN in ")) == (3, True)
    unknown = cli("hsm", "test", place, "--node", "c")
    assert (unknown.code, unknown.said.rpartition(": ")[2]) == (1, "give one of a, b")
