"""`sottovoce hsm list`: what the configuration says of tokens, and what is known of their vendors."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.interop(tool="softhsm2-util")
_YUBIHSM = """
[hsm]
vendor = "yubihsm"
module = "{module}"
token = "YubiHSM"
security_level = "fips_140_2_level_3"
security_certificate = "3916"
"""


def test_each_token_is_a_row(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "two"
    assert cli("init", place, "--tokens", "2").code == 0
    ran = cli("hsm", "list", place)
    assert (ran.code, ran.err) == (0, "")
    headings, a, b, quorum = ran.out.splitlines()
    assert headings.split()[:4] == ["NAME", "VENDOR", "TOKEN", "LEVEL"]
    assert a.split()[:6] == ["a", "softhsm", "sottovoce-a", "none", "0x2109,", "0x210A"]
    assert b.split()[0] == "b"
    assert quorum == "a new key has to be proved on 2 of 2"


def test_what_was_only_read_and_what_is_only_asserted_is_marked_so(cli: Cli, directory: Path, tmp_path: Path) -> None:
    module = tmp_path / "yubihsm_pkcs11.so"
    module.touch()
    (directory / "sottovoce.toml").write_text(_YUBIHSM.format(module=module))
    ran = cli("hsm", "list", directory)
    (row,) = ran.out.splitlines()[1:]
    assert row.split()[:4] == ["main", "yubihsm", "YubiHSM", "fips_140_2_level_3"]
    assert "none?, 0x210B?" in row
    assert "at most 16?" in row
    notes = ran.err.splitlines()
    assert all(line.startswith("note: hsm.") for line in notes)
    assert any("historical" in line for line in notes)
    module.unlink()
    gone = cli("hsm", "list", directory)
    assert gone.out.splitlines()[1].endswith("missing")
    assert f"main: {module} is not there: see hsm.module" in gone.err


def test_json_has_the_source_of_each_value(cli: Cli, directory: Path) -> None:
    found = cli("hsm", "list", directory, "--json").json
    assert (found["schema"], found["quorum"], found["template"], found["findings"]) == (
        *("sottovoce.hsm.list.1", 1, "none"),
        [],
    )
    (token,) = found["tokens"]
    assert token["pin"] == f"file://{directory}/secrets/pin"
    assert {each["what"]: each["value"] for each in token["claims"]}["PIN"] == "PIN of 4 to 255 bytes"
    assert all(each["was_run"] and each["source"] for each in token["quirks"])


def test_a_wrong_directory_is_one_line(cli: Cli, tmp_path: Path) -> None:
    ran = cli("hsm", "list", tmp_path / "none")
    assert (ran.code, ran.out) == (1, "")
    assert "no such directory" in ran.err
