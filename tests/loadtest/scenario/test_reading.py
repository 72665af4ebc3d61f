"""Scenarios: those that come with this can be read, and whatever is wrong with one is a line with place and remedy."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadtest.commands.tree import main
from loadtest.replay.book import Phase
from loadtest.replay.plan import Group, Outage
from loadtest.scenario import (
    GroupSection,
    OutageSection,
    Scenario,
    ScenarioInvalid,
    find_scenario,
    read_scenario,
    shipped_scenarios,
)
from sottovoce.wire import Codec
from tests.running import ROOT

WHOLE = """
about = "everything that a file may hold"
seconds = 12
tick_us = 1000
warm_up_seconds = 0

[groups.first]
calls = 3
codec = "opus"
frame_ms = 10
talks_seconds = 2
pauses_seconds = 0.5

[groups.second]
calls = 4
at_seconds = 5
per_second = 2
lasts_seconds = 3
again = true
reads_seconds = 1
stalls_seconds = 0.5

[phases]
quiet = 0
busy = 5

[outages.one]
at_seconds = 6
until_seconds = 7
"""
SMALL = 'about = "x"\nseconds = 5\n[groups.a]\ncalls = 1\n'
LATER = SMALL + "[groups.b]\ncalls = 4\n"


def outage(name: str, at: float, until: float) -> str:
    return f"[outages.{name}]\nat_seconds = {at}\nuntil_seconds = {until}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own.toml"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def test_everything_that_a_file_may_hold(file: Path) -> None:
    file.write_text(WHOLE)
    found = read_scenario(file)
    assert (found.calls, found.seconds, found.tick_us, found.takes_turns) == (7, 12, 1000, True)
    assert found.plan_groups() == (
        Group(
            name="first", calls=3, frames_per_second=100, codec=Codec.OPUS_48K_MONO, talks_seconds=2, pauses_seconds=0.5
        ),
        Group(
            name="second",
            calls=4,
            at_seconds=5,
            per_second=2,
            lasts_seconds=3,
            again=True,
            codec=Codec.PCM16_16K,
            reads_seconds=1,
            stalls_seconds=0.5,
        ),
    )
    assert found.plan_phases() == (Phase("quiet", 0), Phase("busy", 5))
    assert found.plan_outages() == (Outage(at_seconds=6, until_seconds=7),)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_those_that_come_with_this(name: str) -> None:
    text = find_scenario(name).read_text()
    assert read_scenario(find_scenario(name)).about
    assert text.startswith("# "), "each says what it is for"


def test_the_example_of_the_document_is_one(file: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/load-tests.md").read_text(), re.MULTILINE | re.DOTALL)
    file.write_text(example)
    assert set(read_scenario(file).groups) == {"running", "coming"}


def test_the_document_tells_of_every_key() -> None:
    text = (ROOT / "docs/load-tests.md").read_text()
    keys = {*Scenario.__struct_fields__} - {"groups", "phases", "outages"}
    assert all(f"[{kind}" in text for kind in ("groups", "phases", "outages"))
    keys |= {*GroupSection.__struct_fields__, *OutageSection.__struct_fields__}
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_all_that_was_asked_for_is_there() -> None:
    asked = {"steady", "ramp", "storm", "barge-in", "slow-readers", "flapping-backend", "mixed-codecs"}
    assert asked <= set(shipped_scenarios())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "about = ?",
            "own.toml, line 1, column 9: this is not TOML: Invalid value; write key = value, and text in quotes",
        ),
        ("about = ", "own.toml, end of document: this is not TOML: Invalid value; write key = value"),
        (
            SMALL + "[groups.a]\n",
            "own.toml, line 5, column 10: this is not TOML: Cannot declare ('groups', 'a') twice; write it once",
        ),
        (
            SMALL + "calls = 2\n",
            "own.toml, line 5, column 10: this is not TOML: Cannot overwrite a value; write it once",
        ),
        (SMALL + "call = 1\n", "groups.a.call: there is no such key; did you mean calls?"),
        (SMALL.replace("calls = 1", "calls = 0"), "groups.a.calls: is 0, out of range; write a whole number from 1"),
        (SMALL.replace("calls = 1", ""), "groups.a.calls: is missing; add a line calls = 10"),
        (SMALL.replace("5", '"five"'), "seconds: is text; write a number from 1"),
        (SMALL + "frame_ms = 30\n", "groups.a.frame_ms: is 30, which no call has; write 10, 20, 40 or 60"),
        (SMALL + 'codec = "pcm"\n', 'groups.a.codec: there is no "pcm"; did you mean "pcm'),
        (SMALL + "talks_seconds = 1\n", "groups.a.talks_seconds: turns have silences between; write pauses_seconds"),
        (SMALL + "stalls_seconds = 1\n", "groups.a.stalls_seconds: nothing would ever be read; write reads_seconds"),
        (SMALL + "at_seconds = 1\n", "groups: all of them join later; leave at_seconds out of one"),
        (LATER + "at_seconds = 5\n", "groups.b.at_seconds: is not before the end; write less than seconds, which is 5"),
        (
            SMALL + "pauses_seconds = 1\n",
            "groups.a.pauses_seconds: silences are between turns, of which there are none; write talks_seconds too",
        ),
        (SMALL + "reads_seconds = 1\n", "groups.a.reads_seconds: there is no stall between; write stalls_seconds too"),
        (
            LATER + "at_seconds = 1\nper_second = 0.2\n",
            "groups.b.calls: only 1 of 4 begin before the end; write no more than that, or have more per_second",
        ),
        (
            SMALL + outage("long", 1, 4) + outage("short", 2, 3),
            "outages.short.at_seconds: is 2, when outages.long (1 to 4) is not over; write a later instant, or one",
        ),
        (SMALL + outage("b", 2, 3) + outage("a", 1, 2), "outages.b.at_seconds: is 2, when outages.a (1 to 2) is not"),
        (SMALL + "[phases]\none = 1\n", "phases: are not whole seconds that rise from 0; write them so"),
        (SMALL + "[phases]\none = 0\ntwo = 2.5\n", "phases: are not whole seconds that rise from 0"),
        (
            SMALL + "[outages.a]\nat_seconds = 2\nuntil_seconds = 2\n",
            "outages.a.until_seconds: is not after at_seconds; write a later instant",
        ),
        ('about = "x"\nseconds = 5\n', "groups: is missing; write sections [groups.NAME]"),
        ('about = "x"\nseconds = 5\ngroups = {}\n', "groups: there is none; write [groups.callers]"),
        (SMALL + "x = 1\n", "groups.a.x: there is no such key; known here: calls, at_seconds"),
    ],
)
def test_what_is_wrong_is_one_line_with_place_and_remedy(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(ScenarioInvalid) as caught:
        read_scenario(file)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_what_is_to_be_added_is_right_as_it_stands(file: Path) -> None:
    text = "[groups.a]\n[outages.a]\n"
    file.write_text(text)
    with pytest.raises(ScenarioInvalid) as caught:
        read_scenario(file)
    added = dict(re.findall(r": (\S+): is missing; add a line (.+)$", str(caught.value), re.MULTILINE))
    assert set(added) == {"about", "seconds", "groups.a.calls", "outages.a.at_seconds", "outages.a.until_seconds"}
    for path, line in added.items():
        section = path.rpartition(".")[0]
        text = text.replace(f"[{section}]\n", f"[{section}]\n{line}\n") if section else f"{line}\n{text}"
    file.write_text(text)
    assert read_scenario(file).calls == 10


def test_several_faults_are_a_line_each(file: Path) -> None:
    file.write_text(SMALL + "call = 1\nframe_ = 2\n")
    result = run("run", file, "--config", "d")
    assert (result.exit_code, result.stderr.splitlines()) == (
        2,
        [
            f"loadtest: {file}: groups.a.call: there is no such key; did you mean calls?",
            f"loadtest: {file}: groups.a.frame_: there is no such key; did you mean frame_ms?",
        ],
    )


def test_faults_across_sections_are_named_with_the_others(file: Path) -> None:
    file.write_text(
        LATER
        + "at_seconds = 9\ncall = 1\nframe_ms = 30\n"
        + "[groups.c]\ncalls = 0\nat_seconds = 8\nframe_ms = 30\nreads_seconds = 1\n"
        + "[phases]\none = 1\ntwo = 7\n"
        + outage("long", 1, 6)
        + outage("short", 2, 3)
        + outage("last", 4, 4.5)
        + outage("apart", 6.5, 6.6)
    )
    with pytest.raises(ScenarioInvalid) as caught:
        read_scenario(file)
    assert [line.removeprefix(f"{file}: ").partition("; ")[0] for line in str(caught.value).splitlines()] == [
        "groups.b.call: there is no such key",
        "groups.c.calls: is 0, out of range",
        "groups.c.frame_ms: is 30, which no call has",
        "groups.c.reads_seconds: there is no stall between",
        "phases: are not whole seconds that rise from 0",
        "groups.b.at_seconds: is not before the end",
        "groups.c.at_seconds: is not before the end",
        "outages.long.until_seconds: is not before the end",
        "outages.apart.until_seconds: is not before the end",
        "phases.two: is not before the end",
        "outages.short.at_seconds: is 2, when outages.long (1 to 6) is not over",
        "outages.last.at_seconds: is 4, when outages.long (1 to 6) is not over",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'seconds = "x"\ngroups = 1\nphases = 2\noutages = [3]\n',
        "groups = {a = 1}\noutages = {a = 1, b = {at_seconds = true, until_seconds = [1]}}\nphases = {a = '', b = 1}\n",
        f"seconds = 1{'0' * 400}\ngroups = {{a = {{calls = nan, at_seconds = inf, reads_seconds = -1}}}}\n",
        f"seconds = 5\ngroups = {{a = {{calls = 1{'0' * 400}, frame_ms = true, per_second = 1{'0' * 400}}}}}\n",
    ],
)
def test_values_of_another_kind_make_no_fault_of_the_rules(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ScenarioInvalid) as caught:
        read_scenario(file)
    said = str(caught.value)
    for word in (
        "write a later",
        "rise from 0",
        "before the end",
        "which no call has",
        "too, or neither",
        "join later",
    ):
        assert word not in said


def test_words_change_it(file: Path) -> None:
    file.write_text(SMALL)
    found = read_scenario(file, ["groups.a.calls=7", "about=quick", "groups.a.codec = pcmu"])
    assert (found.about, found.calls, found.groups["a"].codec) == ("quick", 7, "pcmu")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("groups.a.calls", "is not key=value; write --set groups.callers.calls=50"),
        ("groups..calls=1", "is not key=value"),
        ("groups.callrs.calls=2", "--set groups.callrs.calls: there is no group callrs; did you mean callers?"),
        ("groups.b.calls=2", "there is no group b; the file has a, callers"),
        ("phases.quiet=0", "--set phases.quiet: there is no phase quiet; the file has none"),
        ("outages.a.at_seconds=1", "there is no outage a; the file has none"),
        ("seconds.calls=1", "seconds holds a value and is no section"),
        ("groups.a.calls=many", "groups.a.calls: is text; write a whole number"),
    ],
)
def test_words_that_change_nothing(file: Path, word: str, said: str) -> None:
    file.write_text(SMALL + "[groups.callers]\ncalls = 1\n")
    with pytest.raises(ScenarioInvalid, match=re.escape(said)):
        read_scenario(file, [word])


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid, match="there is no such file; give a path, or one of barge-in, "):
        find_scenario("nothing")
    with pytest.raises(ScenarioInvalid, match="Is a directory; give the path of a file"):
        read_scenario(tmp_path)
    large, strange = tmp_path / "large", tmp_path / "strange"
    large.write_bytes(b"#" * 70_000)
    strange.write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioInvalid, match="has more than 65536 bytes"):
        read_scenario(large)
    with pytest.raises(ScenarioInvalid, match="this is not TOML"):
        read_scenario(strange)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("steady", "--config", "d", "--sessions", "5"), "--sessions is for the scenario to say"),
        (("steady", "--url", "ws://127.0.0.1:1/", "--opaque"), "a scenario is of calls, which --opaque has not"),
        (("--config", "d", "--rate", "2"), "--rate: a call has 100, 50, 25 or 16.67 frames a second, not 2: choose"),
        (("flapping-backend", "--config", "d"), "give --config F with --raw, so that it is ours"),
        (("flapping-backend", "--url", "wss://a/echo", "--dir", "d"), "give --config F with --raw"),
    ],
)
def test_what_does_not_go_with_a_scenario(words: tuple[str, ...], said: str) -> None:
    result = run("run", *words)
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_bad_scenario_is_one_line_and_an_object(file: Path) -> None:
    file.write_text(SMALL + "calls_ = 1\n")
    result = run("run", file, "--config", "d", "--json")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert json.loads(result.stdout)["error"].endswith("did you mean calls?")


def test_the_list() -> None:
    lines = run("scenarios").stdout.splitlines()
    assert lines[0].split() == ["scenario", "calls", "seconds", "what", "it", "is"]
    assert [line.split()[0] for line in lines[1:-1]] == list(shipped_scenarios())
    found = json.loads(run("scenarios", "--json").stdout)
    assert [each["name"] for each in found["scenarios"]] == list(shipped_scenarios())
