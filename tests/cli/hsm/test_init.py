"""`sottovoce hsm init`: one more token, which clients are told of before the proxy uses it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from sottovoce.audit import read_events
from tests.cli.conftest import Cli
from tests.running import running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")


def anchors(directory: Path) -> int:
    return len(json.loads((directory / "certs/anchor.json").read_text())["anchors"])


def roots(directory: Path) -> int:
    return (directory / "certs/ca.pem").read_text().count("BEGIN CERTIFICATE")


def test_a_directory_of_one_token_gets_a_second_in_two_steps(cli: Cli, directory: Path) -> None:
    configuration = (directory / "sottovoce.toml").read_text()
    made = cli("hsm", "init", directory, "b")
    assert (made.code, made.err) == (0, "")
    assert "token b is made, and its keys are published; no proxy uses it yet" in made.out
    assert (anchors(directory), roots(directory)) == (2, 2)
    assert (directory / "sottovoce.toml").read_text() == configuration
    assert cli("check", directory).code == 0
    (following,) = re.findall(r"^ {6}sottovoce (.+)$", made.out, re.MULTILINE)
    assert following == f"hsm init {directory} b --join"
    joined = cli(*following.split())
    assert joined.out.splitlines() == [
        "token b is there already, and the configuration names it: main, b",
        "a new key has to be proved on 2 of 2 from then on",
    ]
    assert (directory / "sottovoce.toml").read_text().startswith(configuration.rstrip())
    assert (anchors(directory), roots(directory)) == (2, 2)
    assert cli("doctor", directory).code == 0
    again = cli("hsm", "init", directory, "b", "--json").json
    assert (again["made"], again["joined"], again["tokens"], again["proxy_pid"]) == (False, True, ["main", "b"], None)
    with running_proxy(directory) as proxy:
        shutil.move(directory / "hsm/tokens", directory / "hsm/away")
        assert cli("call", f"{proxy.url}/echo", "--tone", "--dir", directory).code == 0
    generated = [each.fields["key"] for each in read_events(directory / "audit/audit.log", "key_generated")]
    assert len(generated) == 14


def test_beside_a_proxy_that_runs_the_audit_log_hears_of_it_at_the_next_start(cli: Cli, directory: Path) -> None:
    def heard() -> int:
        events = read_events(directory / "audit/audit.log", "key_generated")
        return sum(event.fields["token"] == "sottovoce-b" for event in events)

    with running_proxy(directory) as proxy:
        made = cli("hsm", "init", directory, "b", "--join")
        assert "next: restart the proxy that runs; until then it serves without the token" in made.out
        assert cli("call", f"{proxy.url}/echo", "--tone", "--dir", directory).code == 0
        assert heard() == 0
    with running_proxy(directory):
        assert heard() == 7


def test_several_tokens_become_more(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "two"
    assert cli("init", place, "--tokens", "2").code == 0
    made = cli("hsm", "init", place, "c", "--join", "--json").json
    assert (made["made"], made["joined"], made["tokens"], made["quorum"]) == (True, True, ["a", "b", "c"], 2)
    assert (anchors(place), roots(place)) == (3, 3)
    assert set(json.loads((place / "keys/serving.json").read_text())["nodes"]) == {"a", "b", "c"}
    assert cli("doctor", place).code == 0


def test_what_a_killed_command_has_left_is_in_nobodys_way(cli: Cli, directory: Path) -> None:
    (directory / ".b.new-1").mkdir()
    assert cli("hsm", "init", directory, "b").code == 0
    assert not list(directory.glob(".b.new-*"))
    for left in ("hsm/b", "keys/b"):  # as if it had been killed when it had told of the token and not moved it yet
        shutil.rmtree(directory / left)
    for left in ("secrets/b.pin", "certs/issuing-b.pem"):
        (directory / left).unlink()
    assert cli("hsm", "init", directory, "b", "--join").code == 0
    assert cli("doctor", directory).code == 0


@pytest.mark.parametrize("name", ["B", "1", "a" * 23, "x/y", "-"])
def test_a_name_that_cannot_be(cli: Cli, directory: Path, name: str) -> None:
    ran = cli("hsm", "init", "--", directory, name)
    assert (ran.code, "cannot be a token's name: write up to 22" in ran.said) == (1, True)


def test_what_is_in_the_way_is_named(cli: Cli, directory: Path) -> None:
    (directory / "secrets/b.pin").write_text("somebody's")
    ran = cli("hsm", "init", directory, "b")
    assert (ran.code, ran.said.startswith(f"{directory}/secrets/b.pin is there already: move it away")) == (1, True)
    assert (anchors(directory), (directory / "secrets/b.pin").read_text()) == (1, "somebody's")


def test_a_configuration_that_cannot_be_added_to(cli: Cli, directory: Path) -> None:
    file = directory / "sottovoce.toml"
    file.write_text(f"hsm = {{ quorum = 1 }}\n{file.read_text()}")
    ran = cli("hsm", "init", directory, "b")
    assert (ran.code, "write them as sections [hsm.nodes.NAME]" in ran.said) == (1, True)
    assert anchors(directory) == 1
