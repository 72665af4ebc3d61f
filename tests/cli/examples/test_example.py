"""`sottovoce example`, and what each sample promises without being run."""

from importlib.resources import files

import pytest

from tests.cli.conftest import Cli

NAMES = [
    *("calls", "client-asyncio", "client-sync", "client"),
    *("mux", "pipecat", "raw-asyncio", "raw-trio", "raw-websockets", "twilio"),
]


def test_without_a_name_it_lists_each_with_one_line(cli: Cli) -> None:
    ran = cli("example")
    *lines, last = ran.out.splitlines()
    assert ran.code == 0
    assert [line.split()[0] for line in lines] == NAMES
    assert all(len(line) <= 130 for line in lines)
    assert last == "next:  sottovoce example raw-asyncio >bot.py"
    listed = cli("example", "--json").json
    assert (listed["schema"], listed["ok"]) == ("sottovoce.example.1", True)
    assert [each["name"] for each in listed["examples"]] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_short_and_is_printed_as_it_is(cli: Cli, name: str) -> None:
    text = (files("sottovoce.cli.examples") / "samples" / f"{name}.txt").read_text()
    assert cli("example", name).out == text
    said = cli("example", name, "--json").json
    assert said["text"] == text
    assert text.startswith(f"# {said['about']}\n")
    assert len(text.splitlines()) <= 20
    assert max(map(len, text.splitlines())) <= 120
    compile(text, name, "exec")


def test_a_name_that_is_none_is_a_fault_of_usage_and_tells_those_that_are(cli: Cli) -> None:
    ran = cli("example", "raw")
    assert (ran.code, ran.out) == (2, "")
    assert f"there is no 'raw'; there are {', '.join(NAMES)}" in ran.err
