from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_a_fresh_directory_can_be_served(cli: Cli, made: Path) -> None:
    ran = cli("check", made)
    assert (ran.code, ran.out, ran.err) == (0, "the configuration can be served\n", "")
    assert cli("check", made / "sottovoce.toml").code == 0


def test_the_directory_may_come_from_the_environment_or_be_the_current_one(
    cli: Cli, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    assert cli("check").code == 0
    monkeypatch.chdir("/")
    monkeypatch.setenv("SOTTOVOCE_DIR", str(made))
    assert cli("check").code == 0
    assert cli("check", made / "none").code == 1


def test_a_problem_is_a_line_and_its_remedy_the_next(cli: Cli, made: Path) -> None:
    ran = cli("check", made, "--set", "voice.epoch_seconds=1", "--set", "listener.pq=x")
    assert (ran.code, ran.out) == (1, "2 problems\n")
    assert ran.err.splitlines() == [
        'listener.pq: there is no "x"',
        '    write one of "require", "prefer", "off"',
        "voice.epoch_seconds: is 1, out of range",
        "    write a whole number from 2 to 3600",
    ]


def test_json_has_each_problem_in_its_parts(cli: Cli, made: Path) -> None:
    ran = cli("check", made, "--set", "nonsense.x=1", "--json")
    assert (ran.code, ran.err) == (1, "")
    (problem,) = ran.json["problems"]
    assert problem["path"] == "nonsense"
    assert problem["reason"] == "there is no such section"
    assert problem["remedy"].startswith("known here: listener, ")


def test_a_warning_is_a_note_and_no_problem(cli: Cli, made: Path) -> None:
    sets = ("routes.b.adapter=raw", "routes.b.url=ws://10.0.0.1/", "routes.b.allow_plaintext_network=true")
    ran = cli("check", made, *(word for each in sets for word in ("--set", each)))
    assert (ran.code, ran.out) == (0, "the configuration can be served\n")
    assert ran.err.startswith("note: routes.b.allow_plaintext_network: audio goes unencrypted to 10.0.0.1; ")


def test_a_file_that_cannot_be_read_is_a_problem_too(cli: Cli, directory: Path) -> None:
    (directory / "sottovoce.toml").write_bytes(b"\xff")
    ran = cli("check", directory)
    assert (ran.code, ran.out) == (1, "1 problem\n")
    assert ran.err == f"{directory}/sottovoce.toml: is not UTF-8 text\n    save it as UTF-8\n"
