from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.running import running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")


def test_a_file_is_named_and_what_stands_in_it(cli: Cli, made: Path) -> None:
    ran = cli("inspect", made / "certs/anchor.json")
    assert (ran.code, ran.err) == (0, "")
    first, *facts = ran.out.splitlines()
    assert first == "anchor file: 1 anchor: how clients know a proxy; give it to them"
    assert [line.split()[0] for line in facts] == ["anchor", "for", "keys"]


@pytest.mark.parametrize(
    "name", ["", "sottovoce.toml", "certs/ca.pem", "audit/audit.log", "keys/anchor.mldsa87.json", "hsm/tokens"]
)
def test_json_has_kind_facts_and_faults(cli: Cli, made: Path, name: str) -> None:
    ran = cli("inspect", made / name, "--json")
    assert ran.code == 0
    assert ran.json["schema"] == "sottovoce.inspect.1"
    assert ran.json["ok"] is True
    assert ran.json["kind"]
    assert ran.json["faults"] == []
    assert {"name", "value"} == set(ran.json["facts"][0])


def test_what_is_wrong_is_on_standard_error_and_3(cli: Cli, directory: Path) -> None:
    (directory / "sottovoce.toml").write_text("[listener]\naddres = 1\n")
    ran = cli("inspect", directory / "sottovoce.toml")
    assert ran.code == 3
    assert ran.out.startswith("configuration: ")
    assert "did you mean address?" in ran.said


def test_what_is_not_known_is_one_line_and_1(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\1\2")
    for thing in (tmp_path / "x", tmp_path / "none"):
        ran = cli("inspect", thing)
        assert (ran.code, ran.out) == (1, "")
        assert ran.said.startswith(str(thing))
    assert cli("inspect", tmp_path / "x", "--json").json["ok"] is False
    ran = cli("inspect", tmp_path / "x", "--ca", "y")
    assert (ran.code, ran.out) == (2, "")


def test_a_server(cli: Cli, directory: Path) -> None:
    with running_proxy(directory, "admin.address=127.0.0.1:0") as proxy:
        ran = cli("inspect", proxy.url, "--dir", directory)
        assert (ran.code, ran.err) == (0, "")
        assert "X25519MLKEM768; post-quantum: yes" in ran.out
        assert "sottovoce.v1 on /v1/voice/echo" in ran.out
    gone = cli("inspect", proxy.url, "--json")
    assert (gone.code, gone.json["ok"]) == (1, False)
    assert "Connection refused" in gone.json["error"]
