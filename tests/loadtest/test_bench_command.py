"""`python -m loadtest bench`: the table, the JSON, and the exit status that tells a missed limit."""

import json

import pytest
from click.testing import CliRunner, Result

from loadtest.bench import frame
from loadtest.bench.command import measures
from loadtest.bench.figure import Figure
from loadtest.commands.tree import main

KEPT = Figure("kept", 1.25, 2.5, "x", "so and so")
OVER = Figure("missed", 30.0, 20.0, "ms", "a busy machine")
REPORTED = Figure("reported", 3.0, None, "x")


def bench(monkeypatch: pytest.MonkeyPatch, *words: str, figures: list[Figure]) -> Result:
    monkeypatch.setattr(frame, "measure", lambda: figures)
    return CliRunner().invoke(main, ["bench", "frame", *words])


def test_every_promise_of_speed_is_measured() -> None:
    assert {"frame", "loop_lag", "tls"} <= set(measures())


def test_limits_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    result = bench(monkeypatch, figures=[KEPT, REPORTED])
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.split() == ["kept", "1.25", "x", "≤", "2.5", "x", "ok", "so", "and", "so"]
    assert second.split() == ["reported", "3.00", "x"]


def test_a_limit_that_is_missed_is_status_4(monkeypatch: pytest.MonkeyPatch) -> None:
    result = bench(monkeypatch, figures=[OVER, KEPT])
    assert result.exit_code == 4
    assert "OVER" in result.stdout.splitlines()[0]


def test_json_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    result = bench(monkeypatch, "--json", figures=[KEPT, OVER])
    assert result.exit_code == 4
    answer = json.loads(result.stdout)
    assert answer["schema"] == "loadtest.bench/1"
    assert [(each["name"], each["ok"]) for each in answer["figures"]] == [("kept", True), ("missed", False)]
    assert answer["figures"][0] == {
        "name": "kept", "measured": 1.25, "limit": 2.5, "unit": "x", "detail": "so and so", "ok": True
    }  # fmt: skip


def test_a_name_that_is_unknown_is_status_2() -> None:
    result = CliRunner().invoke(main, ["bench", "speed"])
    assert result.exit_code == 2
    assert "choose from frame" in result.stderr
