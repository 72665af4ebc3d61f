"""`python -m loadtest diff`: what became worse, what does not say anything, and the exit status."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from loadtest.commands.tree import main
from loadtest.difference.figures import ResultUnreadable, read_result
from loadtest.difference.judging import compare_results
from loadtest.knee.searching import Judgement, Verdict
from loadtest.knee.stepping import Knee, Knees, Sought, Step
from loadtest.peers.comparing import Comparison
from loadtest.peers.statistics import standings
from loadtest.replay import Outcome
from tests.loadtest.peers.test_statistics import ROWS
from tests.loadtest.report.outcomes import outcome, quantiles, silent
from tests.loadtest.report.test_scenario import storm


def printed(path: Path, found: Outcome | Comparison | Knees) -> Path:
    """Write it as --json prints it."""
    fields: dict[str, Any] = msgspec.structs.asdict(found)
    path.write_bytes(msgspec.json.encode({"schema": fields.pop("schema"), "ok": True, "error": None, **fields}))
    return path


def diff(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, words)])


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return printed(tmp_path / "before.json", outcome())


def test_the_same_result_is_no_worse(before: Path) -> None:
    result = diff(before, before)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert (result.exit_code, lines[0]) == (0, "figure before after after / before verdict")
    assert "added latency p99 2.10 ms 2.10 ms 1.00 × the same" in lines
    assert "lost frames 0.02 % 0.02 % 1.00 × the same" in lines


def test_what_became_worse_is_named_and_is_status_4(before: Path, tmp_path: Path) -> None:
    worse = outcome(latency=quantiles(2), cost=replace(outcome().cost, proxy_us_per_frame=15.0))
    result = diff(before, printed(tmp_path / "after.json", worse))
    assert result.exit_code == 4
    assert result.stderr == "loadtest: worse by more than 10 %: added latency p50; added latency p99\n"
    assert any(
        line.startswith("proxy, processor of a frame") and line.endswith("better")
        for line in result.stdout.splitlines()
    )
    assert diff(before, tmp_path / "after.json", "--worse", "100").exit_code == 0


def test_what_is_small_is_no_difference(before: Path, tmp_path: Path) -> None:
    quick = outcome(latency=quantiles(0.1))
    slower = outcome(latency=quantiles(0.2))
    first, second = printed(tmp_path / "a.json", quick), printed(tmp_path / "b.json", slower)
    assert diff(first, second).exit_code == 0


def test_from_nothing_to_something_is_worse_though_it_has_no_ratio(before: Path, tmp_path: Path) -> None:
    found = outcome()
    failed = replace(found, handshakes=replace(found.handshakes, failed=3))
    result = diff(before, printed(tmp_path / "after.json", failed))
    assert result.exit_code == 4
    assert "calls failed 0 3 none WORSE" in " ".join(result.stdout.split())


def test_a_result_that_does_not_count_shows_nothing(before: Path, tmp_path: Path) -> None:
    late = printed(tmp_path / "late.json", outcome(discarded="the generator was the limit"))
    result = diff(before, late)
    assert result.exit_code == 3
    assert result.stderr == "loadtest: no verdict, the second is no sound result: the generator was the limit\n"


@pytest.mark.parametrize("sessions", [1, 200])
def test_other_loads_are_no_verdict_whichever_way_the_figures_went(before: Path, tmp_path: Path, sessions: int) -> None:
    latency = quantiles(0.1 if sessions == 1 else 9)
    result = diff(before, printed(tmp_path / "other.json", outcome(sessions=sessions, latency=latency)), "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["is_judged"]) == (3, False, False)
    assert result.stderr.startswith("loadtest: no verdict, not the same load: first 100 calls")
    assert {line["verdict"] for line in found["lines"]} == {""}


def test_other_machines_are_said(before: Path, tmp_path: Path) -> None:
    result = diff(before, printed(tmp_path / "other.json", outcome(machine="another")))
    assert (result.exit_code, "NOT THE SAME MACHINE: first AMD EPYC" in result.stdout) == (0, True)


def test_what_only_one_of_them_has(before: Path, tmp_path: Path) -> None:
    found = compare_results(read_result(before), read_result(printed(tmp_path / "s.json", silent())), 10)
    verdicts = {line.name: (line.verdict, line.cells()[2]) for line in found.lines}
    assert verdicts["added latency p99"] == ("not in both", "none")


def test_a_scenarios_groups_and_phases_are_judged(tmp_path: Path) -> None:
    first = storm()
    slower = tuple(replace(each, latency=quantiles(5)) for each in first.routes)
    result = diff(printed(tmp_path / "a.json", first), printed(tmp_path / "b.json", replace(first, routes=slower)))
    assert result.exit_code == 4
    assert "running: added latency p99; coming: added latency p99" in result.stderr
    assert "storm, coming: added latency p99" in result.stdout
    assert "coming: barge-in p99" in result.stdout


def test_comparisons(tmp_path: Path) -> None:
    found = Comparison(
        yardstick="haproxy", remarks=(), missing={}, standings=standings(ROWS, "haproxy"), rows=tuple(ROWS)
    )
    file = printed(tmp_path / "a.json", found)
    result = diff(file, file, "--html", tmp_path / "page.html")
    assert result.exit_code == 0
    assert "to haproxy" in result.stdout
    assert "before: " in (tmp_path / "page.html").read_text()


def knees(held: int, missed: int | None, *, is_open: bool = False) -> Knees:
    step = Step("sottovoce", held, Judgement(Verdict.HELD, ""), outcome())
    knee = Knee(name="sottovoce", held=held, missed=missed, is_open=is_open)
    return Knees(sought=Sought(), knees=(knee,), steps=(step,))


def test_knees(tmp_path: Path) -> None:
    many, few = printed(tmp_path / "a.json", knees(400, 420)), printed(tmp_path / "b.json", knees(300, 310))
    assert diff(few, many).exit_code == 0
    result = diff(many, few)
    assert (result.exit_code, result.stderr) == (4, "loadtest: worse by more than 10 %: sottovoce: most calls\n")
    assert diff(many, printed(tmp_path / "c.json", knees(300, None, is_open=True))).exit_code == 0


def test_json_and_the_page(before: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = json.loads(diff(before, before, "--json", "--html", page).stdout)
    assert (found["schema"], found["ok"], found["error"]) == ("loadtest.diff/1", True, None)
    assert found["lines"][1]["name"] == "added latency p99"
    text = page.read_text()
    assert "before: sottovoce" in text
    assert "nothing is worse by more than is allowed" in text
    assert diff(before, before, "--html", tmp_path / "gone/page.html").exit_code == 1


def test_two_kinds_cannot_be_compared(before: Path, tmp_path: Path) -> None:
    result = diff(before, printed(tmp_path / "knee.json", knees(1, 2)))
    assert (result.exit_code, "give two of a kind" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"schema":"loadtest.bench/1"}', b'{"schema":"loadtest.run/1"}', b"\xff"]
)
def test_what_is_no_result_is_one_line(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(text)
    with pytest.raises(ResultUnreadable, match="--json printed"):
        read_result(file)
    result = diff(file, file)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResultUnreadable, match="No such file"):
        read_result(tmp_path / "none.json")
