"""`python -m loadtest run`: what does not go together, one line for what goes wrong, exit statuses, what it leaves."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadtest.commands.tree import main
from loadtest.replay.processes.started import echo_backend
from tests.loadtest.report.outcomes import outcome, route

NOWHERE = "ws://127.0.0.1:1/"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give --url URL"),
        (("--url", "wss://a/echo", "--config", "dir"), "give --url URL"),
        (("--url", "wss://a/echo"), "give --dir DIR"),
        (("--url", "wss://a/echo", "--dir", "d", "--anchor", "a"), "give --dir DIR"),
        (("--url", "wss://a/echo", "--dir", "d", "--raw"), "give --config"),
        (("--url", "wss://a/echo", "--dir", "d", "--set", "a=b"), "give --config"),
        (("--url", "wss://a/echo", "--dir", "d", "--route", "b"), "give --config"),
        (("--opaque", "--url", NOWHERE, "--audio", "d"), "takes --ca and --payload"),
        (("--opaque", "--config", "d"), "takes --ca and --payload"),
        (("--url", "wss://a/echo", "--dir", "d", "--payload", "100"), "is the size of the messages of --opaque"),
        (("--url", "wss://a/echo", "--dir", "d", "--sessions", "0"), "--sessions"),
        (("--url", "wss://a/echo", "--dir", "d", "--seconds", "nan"), "want numbers that end"),
        (("--url", "wss://a/echo", "--dir", "d", "--seconds", "inf"), "want numbers that end"),
        (("--url", "wss://a/echo", "--dir", "d", "--ramp", "nan"), "want numbers that end"),
    ],
)
def test_what_does_not_go_together_is_usage(words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_threshold_that_is_none_is_said_before_anything_is_called() -> None:
    result = run("--opaque", "--url", NOWHERE, "--fail-if", "p98>20ms")
    assert result.exit_code == 2
    assert "write one of p50" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("url", ["ws://localhost:99999/", "ws://[bad/", "ws://localhost:x/"])
def test_an_address_that_is_none_is_one_line(url: str) -> None:
    result = run("--opaque", "--url", url)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert f"{url} is no URL of a WebSocket" in result.stderr


def test_missing_trust_is_one_line_and_an_object(tmp_path: Path) -> None:
    result = run("--url", "wss://localhost:1/echo", "--dir", tmp_path, "--json")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"loadtest: {tmp_path}/certs/anchor.json: No such file")
    assert json.loads(result.stdout)["ok"] is False


def test_where_no_call_comes_about_the_object_says_so() -> None:
    result = run("--opaque", "--url", NOWHERE, "--sessions", "1", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["schema"], found["ok"]) == (1, "loadtest.run/1", False)
    assert found["error"].startswith("no call came about, 1 were tried: ")


def test_a_word_that_is_wrong_is_an_object_too() -> None:
    result = run("--sessions", "0", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["schema"], found["ok"]) == (2, "loadtest.run/1", False)
    assert "0 is not in the range" in found["error"]


def test_a_proxy_that_does_not_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    result = run("--config", tmp_path / "nothing")
    assert result.exit_code == 1
    assert result.stderr.startswith("loadtest: the proxy did not start: sottovoce: ")
    assert "there is no such directory" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_where_nobody_listens_no_call_comes_about() -> None:
    result = run("--opaque", "--url", NOWHERE, "--sessions", "2")
    assert result.exit_code == 1
    assert result.stderr == (
        "loadtest: no call came about, 2 were tried: cannot reach 127.0.0.1:1: Connection refused; "
        "one alone says more: sottovoce call URL --tone --dir DIR\n"
    )


def test_where_no_call_is_left_the_reason_says_who_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "the server closed the call with code 4450: backend_down"
    ended = outcome(is_partial=True, seconds=2.5, routes=(route(calls_ended=3, reasons={why: 3}),))
    monkeypatch.setattr("loadtest.replay.run.run_load", lambda *_: ended)
    result = run("--opaque", "--url", NOWHERE)
    assert (result.exit_code, result.stderr) == (
        1,
        f"loadtest: no call was left 2.5 s into the run, the other side ended 3: {why}\n",
    )


def test_a_run_and_everything_that_it_leaves(tmp_path: Path) -> None:
    page, picture = tmp_path / "run.html", tmp_path / "run.png"
    with echo_backend() as backend:
        words = ("--opaque", "--url", backend.url, "--sessions", "3", "--seconds", "0.5", "--payload", "200")
        result = run(*words, "--json", "--html", page, "--plot", picture, "--fail-if", "p50>0us")
        assert result.exit_code == 4
        assert result.stderr.startswith("loadtest: p50>0us: it is ")
        found = json.loads(result.stdout)
        assert found["schema"] == "loadtest.run/1"
        assert found["latency"]["count"] == 75
        assert page.read_text().startswith("<!")
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_page_that_cannot_be_written_costs_no_figure(tmp_path: Path) -> None:
    result = run("--opaque", "--url", NOWHERE, "--sessions", "1", "--html", tmp_path / "gone" / "run.html")
    assert result.exit_code == 1
    assert "name a file that you may write" in result.stderr
    assert "frames" in result.stdout


def test_help_teaches_by_example() -> None:
    assert "python -m loadtest run --config DIR --sessions 50 --seconds 10\n" in run("--help").stdout
