"""`sottovoce anchor`: its words, and that each step prints the next."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.interop(tool="softhsm2-util")


def commands_of(text: str) -> list[str]:
    return re.findall(r"^ {6}sottovoce (.+)$", text, re.MULTILINE)


def test_each_step_prints_the_next(cli: Cli, directory: Path) -> None:
    (old,) = cli("anchor", "list", directory, "--json").json["anchors"]
    would = cli("anchor", "rotate", directory, "--dry-run")
    assert (would.code, old["id"][:16] in would.out) == (0, True)
    made = cli("anchor", "rotate", directory)
    (following,) = commands_of(made.out)
    assert following == f"anchor switch {directory}"
    assert "holds both" in made.out
    assert "is there already" in cli("anchor", "rotate", directory).out
    assert "would issue" in cli(*following.split(), "--dry-run").out
    switched = cli(*following.split())
    assert switched.code == 0
    (retire,) = commands_of(switched.out)
    assert retire == f"anchor retire {directory} --yes"
    assert "kill" not in switched.out, "no proxy runs"
    early = cli(*retire.split())
    assert (early.code, "run this after that" in early.said) == (1, True)
    listed = cli("anchor", "list", directory).out.splitlines()
    assert [line.split()[1] for line in listed] == ["has", "issues"]
    assert "as before" in cli("anchor", "switch", directory).out
    back = cli("anchor", "switch", directory, "--back", "--json").json
    assert [each["is_issuing"] for each in back["anchors"]] == [True, False]


def test_of_several_tokens_one_is_named_and_the_next_step_names_it_too(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "two"
    assert cli("init", place, "--tokens", "2").code == 0
    assert [line.split()[0] for line in cli("anchor", "list", place).out.splitlines()] == ["a", "b"]
    made = cli("anchor", "rotate", place, "--node", "b")
    assert commands_of(made.out) == [f"anchor switch {place} --node b"]
    switched = cli("anchor", "switch", place, "--node", "b")
    assert commands_of(switched.out) == [f"anchor retire {place} --node b --yes"]
    assert len(cli("anchor", "list", place, "--node", "b").out.splitlines()) == 2
    assert len(cli("anchor", "list", place, "--json").json["anchors"]) == 3
    refused = cli("anchor", "rotate", place, "--node", "c")
    assert (refused.code, refused.said.rpartition(": ")[2]) == (1, "write --node with one of a, b")


def test_nothing_is_destroyed_without_a_yes(cli: Cli, directory: Path) -> None:
    done = cli("anchor", "retire", directory)
    assert (done.code, "--yes" in done.err) == (2, True)
    assert cli("anchor", "retire", directory, "--yes").code == 1


def test_json_tells_what_was_done(cli: Cli, directory: Path) -> None:
    made = cli("anchor", "rotate", directory, "--json").json
    assert (made["schema"], made["ok"], made["changed"], made["dry_run"]) == (
        "sottovoce.anchor.rotate.1",
        True,
        True,
        False,
    )
    assert len(json.loads(Path(made["anchor_file"]).read_text())["anchors"]) == 2
    assert made["proxy_pid"] is None
    again = cli("anchor", "rotate", directory, "--dry-run", "--json").json
    assert (again["changed"], again["dry_run"]) == (False, True)


@pytest.mark.parametrize("step", ["list", "rotate", "switch"])
def test_a_wrong_directory_is_one_line(cli: Cli, tmp_path: Path, step: str) -> None:
    done = cli("anchor", step, tmp_path / "none")
    assert done.code == 1
    assert "no such directory" in done.err
