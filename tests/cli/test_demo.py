"""How a demonstration is told.  That it takes place is shown by tests/app/test_demo.py."""

from collections.abc import Callable

import pytest

from sottovoce.app.demo import Demonstration
from sottovoce.client import Ended, Statistics
from tests.app.demonstrations import replayed, shown
from tests.cli.conftest import Cli

Stage = Callable[[Demonstration], None]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have the demonstration come to this."""

    def stage(result: Demonstration) -> None:
        async def demonstrate(*_: object) -> Demonstration:
            return result

        monkeypatch.setattr("sottovoce.app.demo.demonstrate", demonstrate)

    return stage


def test_it_is_a_table_for_people(cli: Cli, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    stage(shown())
    ran = cli("demo")
    assert (ran.code, ran.err) == (0, "")
    assert "Sealed between this client and localhost. The service behind it hears the audio." in ran.out
    for what in ("X25519MLKEM768", "ECDSA_P384 + MLDSA65", "4 of 4", "300 sent, 300 back", "identical", "p50 1.0 ms"):
        assert what in ran.out
    assert ran.out.endswith("demo: ok\n")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_did_not_go_well_is_exit_code_1(cli: Cli, stage: Stage, words: tuple[str, ...]) -> None:
    stage(shown(audio_identical=False, latencies_ms=(), statistics=Statistics()))
    ran = cli("demo", *words)
    assert ran.code == 1
    if words:
        assert (ran.json["ok"], ran.json["audio_identical"]) == (False, False)
    else:
        assert "DIFFERENT" in ran.out
        assert ran.out.endswith("demo: FAILED, see the table\n")


@pytest.mark.parametrize(
    ("otherwise", "line"),
    [
        ({"frames_lost": 2}, "2 of 300 frames did not come back (--no-echo if none should)"),
        ({"ended": None}, "the call was cut off: what came back may be incomplete"),
        (
            {"ended": Ended(1006, "", truncated=True, local=False)},
            "the call was cut off: what came back may be incomplete",
        ),
    ],
)
def test_a_call_that_lost_something_is_exit_code_1_and_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, otherwise: dict[str, object], line: str
) -> None:
    monkeypatch.setattr("sottovoce.cli.running.run_until_told", lambda _: replayed(**otherwise))
    for words in ((), ("--json",)):
        ran = cli("call", "wss://localhost:1/echo", "--tone", "--anchor", "a.json", *words)
        assert ran.code == 1
        if words:
            assert (ran.json["ok"], ran.json["error"], ran.err) == (False, line, "")
        else:
            assert ran.said == line
