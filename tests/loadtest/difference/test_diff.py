"""`python -m loadtest diff`: what became worse, what does not say anything, and the exit status."""

import json
from collections.abc import Iterator
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
from loadtest.peers.statistics import Row, standings
from loadtest.replay import Outcome
from loadtest.replay.outcome import Cost, Quantiles
from tests.loadtest.peers.test_statistics import ROWS
from tests.loadtest.report.outcomes import outcome, quantiles, route, silent
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
    blind = read_result(printed(tmp_path / "b.json", outcome(cost=Cost())))
    lines = {line.name: line for line in compare_results(read_result(before), blind, 10).lines}
    assert lines["memory of a call"].verdict == "not in both"
    assert lines["memory of a call"].cells()[2] == "none"
    back = compare_results(blind, read_result(before), 10)
    assert (back.failed, back.is_judged) == (None, True), "there was nothing that could have become worse"


def test_what_only_the_first_has_is_no_verdict_and_named(before: Path, tmp_path: Path) -> None:
    result = diff(before, printed(tmp_path / "after.json", outcome(cost=Cost())))
    assert (result.exit_code, result.stderr) == (
        3,
        (
            "loadtest: no verdict, the second lacks proxy, processor of a frame; token process, of a frame; "
            "memory of a call\n"
        ),
    )
    assert "the same" in result.stdout


def test_worse_is_worse_whatever_else_is_not_there(before: Path, tmp_path: Path) -> None:
    result = diff(before, printed(tmp_path / "after.json", outcome(cost=Cost(), latency=quantiles(3))))
    assert (result.exit_code, result.stderr) == (
        4,
        "loadtest: worse by more than 10 %: added latency p50; added latency p99\n",
    )
    assert "NOT JUDGED: the second lacks proxy, processor of a frame; " in result.stdout


def test_a_run_that_offered_nothing_is_no_verdict(before: Path, tmp_path: Path) -> None:
    nothing = printed(tmp_path / "s.json", silent())
    for first, second, word in ((before, nothing, "second"), (nothing, before, "first"), (nothing, nothing, "first")):
        result = diff(first, second)
        assert (result.exit_code, result.stderr) == (
            3,
            f"loadtest: no verdict, the {word} is no sound result: no frame was offered\n",
        )


def test_where_nothing_came_back_before_there_is_nothing_to_hold_latency_against(before: Path, tmp_path: Path) -> None:
    lost = route(carried=0, lost=50_000, latency=Quantiles())
    none_back = printed(tmp_path / "n.json", outcome(routes=(lost,), latency=Quantiles()))
    result = diff(none_back, before)
    assert (result.exit_code, result.stderr) == (3, "loadtest: no verdict, the first lacks added latency p99\n")
    assert diff(before, none_back).exit_code == 4


def test_groups_of_another_name_are_no_verdict(tmp_path: Path) -> None:
    first = storm()
    renamed = tuple(replace(each, group=each.group.replace("coming", "joining")) for each in first.routes)
    result = diff(printed(tmp_path / "a.json", first), printed(tmp_path / "b.json", replace(first, routes=renamed)))
    assert (result.exit_code, result.stderr) == (3, "loadtest: no verdict, the second lacks coming\n")


def test_a_scenarios_groups_and_phases_are_judged(tmp_path: Path) -> None:
    first = storm()
    slower = tuple(replace(each, latency=quantiles(5)) for each in first.routes)
    result = diff(printed(tmp_path / "a.json", first), printed(tmp_path / "b.json", replace(first, routes=slower)))
    assert result.exit_code == 4
    assert "running: added latency p99; coming: added latency p99" in result.stderr
    assert "storm, coming: added latency p99" in result.stdout
    assert "coming: barge-in p99" in result.stdout


def comparison(*rows: Row) -> Comparison:
    return Comparison(yardstick="haproxy", remarks=(), missing={}, standings=standings(rows, "haproxy"), rows=rows)


def without(name: str) -> Iterator[Row]:
    """Give the rows, those of a contender discarded."""
    for row in ROWS:
        bad = replace(row, outcome=replace(row.outcome, discarded="the generator was the limit: 9 ms"))
        yield bad if name in {row.outcome.name, "everybody"} else row


def test_comparisons(tmp_path: Path) -> None:
    file = printed(tmp_path / "a.json", comparison(*ROWS))
    result = diff(file, file, "--html", tmp_path / "page.html")
    assert result.exit_code == 0
    assert "to haproxy" in result.stdout
    assert "before: " in (tmp_path / "page.html").read_text()


def test_a_comparison_of_which_no_round_counts_is_no_verdict(tmp_path: Path) -> None:
    before = printed(tmp_path / "a.json", comparison(*ROWS))
    result = diff(before, printed(tmp_path / "b.json", comparison(*without("everybody"))))
    assert (result.exit_code, result.stderr) == (
        3,
        (
            "loadtest: no verdict, the second is no sound result: every round was discarded, the first as "
            "the generator was the limit: 9 ms\n"
        ),
    )


def test_a_contender_of_which_no_round_counts_or_that_is_missing_is_no_verdict(tmp_path: Path) -> None:
    whole = printed(tmp_path / "a.json", comparison(*ROWS))
    discarded = printed(tmp_path / "b.json", comparison(*without("nginx")))
    missing = printed(tmp_path / "c.json", comparison(*(row for row in ROWS if row.outcome.name != "nginx")))
    for after in (discarded, missing):
        result = diff(whole, after)
        assert (result.exit_code, result.stderr) == (3, "loadtest: no verdict, the second lacks nginx, own instants\n")
    result = diff(discarded, whole)
    assert (result.exit_code, result.stderr) == (3, "loadtest: no verdict, the first lacks nginx, own instants\n")
    assert diff(missing, whole).exit_code == 0, "who joins has nothing to be worse than"
    assert diff(missing, discarded).exit_code == 0


def test_a_contender_that_is_missing_hides_none_that_became_worse(tmp_path: Path) -> None:
    slower = [replace(row, outcome=replace(row.outcome, latency=quantiles(3))) for row in without("nginx")]
    result = diff(
        printed(tmp_path / "a.json", comparison(*ROWS)), printed(tmp_path / "b.json", comparison(*slower)), "--json"
    )
    found = json.loads(result.stdout)
    assert (result.exit_code, found["is_judged"]) == (4, True)
    assert found["error"].startswith("worse by more than 10 %: sottovoce, own instants: added latency p99; ")
    assert found["remarks"] == ["NOT JUDGED: the second lacks nginx, own instants"]


def test_rounds_that_were_discarded_lose_no_fewer_frames(tmp_path: Path) -> None:
    before, fewer = comparison(*ROWS), comparison(*(row for row in ROWS if row.round == 1))
    result = diff(printed(tmp_path / "a.json", before), printed(tmp_path / "b.json", fewer))
    assert "sottovoce, own instants: lost frames of a round 10 10 1.00 × the same" in " ".join(result.stdout.split())


def knees(held: int, missed: int | None, *, is_open: bool = False) -> Knees:
    step = Step("sottovoce", held, Judgement(Verdict.HELD, ""), outcome())
    knee = Knee(name="sottovoce", held=held, missed=missed, is_open=is_open)
    return Knees(sought=Sought(), knees=(knee,), steps=(step,))


def test_knees(tmp_path: Path) -> None:
    many, few = printed(tmp_path / "a.json", knees(400, 420)), printed(tmp_path / "b.json", knees(300, 310))
    assert diff(few, many).exit_code == 0
    result = diff(many, few)
    assert (result.exit_code, result.stderr) == (4, "loadtest: worse by more than 10 %: sottovoce: most calls\n")
    unknown = printed(tmp_path / "c.json", knees(300, None, is_open=True))
    result = diff(many, unknown)
    assert (result.exit_code, result.stderr) == (3, "loadtest: no verdict, the second lacks sottovoce\n")
    result = diff(unknown, many)
    assert (result.exit_code, result.stderr) == (3, "loadtest: no verdict, no figure that is judged is in both\n")


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
