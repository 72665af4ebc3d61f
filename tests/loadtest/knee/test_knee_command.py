"""`python -m loadtest knee`: contenders in turns, one line a step, the result, and the page."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadtest.commands.tree import main
from loadtest.knee import stepping
from loadtest.knee.stepping import Knee, Sought, find_knees
from loadtest.peers import contenders, servers
from loadtest.peers.contenders import Contender
from loadtest.peers.servers import Cores, Running, ServerFailed
from loadtest.replay import Outcome, Plan, Target, Watched
from tests.loadtest.report.outcomes import outcome, quantiles

ANYWHERE = Cores(None, None, is_prompt=False)
KNEES = {"sottovoce": 230, "haproxy": 310, "weak": 20}


@contextmanager
def running(name: str) -> Generator[Running]:
    if name == "broken":
        raise ServerFailed("it did not start")
    yield Running(Target(url=f"wss://localhost:1/{name}"), Watched(proxy=(1,)))


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    made: list[Plan] = []

    def run_load(plan: Plan) -> Outcome:
        made.append(plan)
        return outcome(
            name=plan.name,
            sessions=plan.sessions,
            latency=quantiles(2 if plan.sessions <= KNEES[plan.name] else 50),
            reading=quantiles(0.1),
        )

    monkeypatch.setattr(stepping, "run_load", run_load)
    return made


def runs(*names: str) -> dict[str, stepping.Run]:
    return {name: partial(running, name) for name in names}


def test_all_take_turns_and_each_has_its_knee(plans: list[Plan]) -> None:
    found = find_knees(Sought(precision=0.1), runs("sottovoce", "haproxy"), ANYWHERE)
    assert [plan.name for plan in plans[:4]] == ["sottovoce", "haproxy"] * 2
    ours, theirs = found.knees
    assert ours.missed is not None
    assert theirs.missed is not None
    assert 205 <= ours.held <= 230 < ours.missed
    assert 280 <= theirs.held <= 310 < theirs.missed
    assert found.remarks == ANYWHERE.remarks
    assert {plan.payload_bytes for plan in plans} == {668}


def test_one_that_does_not_start_leaves_the_others(plans: list[Plan]) -> None:
    found = find_knees(Sought(most=150), runs("broken", "sottovoce"), None, missing={"nginx": "nginx is missing"})
    assert found.knees == (Knee(name="sottovoce", held=150, missed=None, is_open=False),)
    assert found.missing == {"nginx": "nginx is missing", "broken": "broken: it did not start"}


def test_interrupted_it_gives_what_there_is(plans: list[Plan]) -> None:
    def stop(step: stepping.Step) -> None:
        if step.calls > 100:
            raise KeyboardInterrupt

    found = find_knees(Sought(), runs("sottovoce"), None, stop)
    assert found.is_partial
    assert found.knees[0].held == 150


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, plans: list[Plan]) -> list[str]:
    """The names of those who take part; a test may change them."""
    names = ["sottovoce"]

    @contextmanager
    def taking_part(ours: Sequence[str], *_: object) -> Generator[dict[str, Contender]]:
        assert "sottovoce mux" in ours
        yield {name: Contender("1", partial(running, name)) for name in names}

    monkeypatch.setattr(contenders, "contenders", taking_part)
    monkeypatch.setattr(servers, "find_cores", lambda **_: ANYWHERE)
    return names


def knee(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["knee", *map(str, words)])


def test_a_line_for_each_step_and_the_result_behind(house: list[str], tmp_path: Path) -> None:
    page = tmp_path / "knee.html"
    result = knee("--html", page, "--within", "20")
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0].split()[:2]) == (0, ["contender", "calls"])
    assert lines[1].split() == ["sottovoce", "100", "4.20", "ms", "21.2", "0.43", "0.21", "ms", "0.21", "ms", "held"]
    assert any(line.startswith("sottovoce") and "not held: p99 105 ms" in line for line in lines)
    assert any("most calls at p99 < 20.0 ms" in line for line in lines)
    assert "The most calls that one core holds" in page.read_text()


def test_json_is_one_object(house: list[str]) -> None:
    found = json.loads(knee("--json", "--most", "150").stdout)
    assert (found["schema"], found["ok"], found["knees"][0]["held"]) == ("loadtest.knee/1", True, 150)
    assert [step["judgement"]["verdict"] for step in found["steps"]] == ["held", "held"]


def test_where_nothing_is_held_it_is_status_1(house: list[str]) -> None:
    house[:] = ["weak"]
    result = knee("--first", "100", "--within", "50")
    assert (result.exit_code, "weak" in result.stdout) == (0, True)
    result = knee("--first", "1000", "--limit", "0.5")
    assert result.exit_code == 1
    assert "not even the fewest that were tried" in result.stdout


@pytest.mark.parametrize(
    "words", [("--url", "wss://a/echo"), ("--dir", "d"), ("--url", "wss://a/echo", "--dir", "d", "--against", "nginx")]
)
def test_what_does_not_go_together(words: tuple[str, ...]) -> None:
    result = knee(*words)
    assert (result.exit_code, "--url goes with --dir" in result.stderr) == (2, True)


def test_a_directory_that_is_none_is_one_line(tmp_path: Path) -> None:
    result = knee("--url", "wss://localhost:1/echo", "--dir", tmp_path)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
