"""The example backends' command lines: what cannot be is a line, and what is not installed does not hide the help."""

import sys
from collections.abc import Callable, Sequence

import pytest

from loadtest.backends import audiosocket_bot, mux_bot, pipecat_bot, realtime_bot, twilio_bot
from sottovoce.relay import demo_backend

Main = Callable[[Sequence[str] | None], int]
MAINS = {
    each.__name__: each.main for each in (audiosocket_bot, mux_bot, pipecat_bot, realtime_bot, twilio_bot, demo_backend)
}


def status_of(main: Main, *words: str) -> object:
    try:
        return main(words)
    except SystemExit as done:
        return done.code


@pytest.mark.parametrize("main", MAINS.values(), ids=MAINS)
@pytest.mark.parametrize("port", ["99999", "65536", "-1"])
def test_a_number_that_is_no_port_is_refused(main: Main, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(main, "--port", port)
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{port}" in said.err.splitlines()[-1]
    assert "65535" in said.err.splitlines()[-1]


def test_without_pipecat_there_is_help_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pipecat", None)
    monkeypatch.delitem(sys.modules, "loadtest.backends.pipecat_pipeline", raising=False)
    assert status_of(pipecat_bot.main, "--help") == 0
    assert "--rate" in capsys.readouterr().out
    assert status_of(pipecat_bot.main) == 1
    assert (
        capsys.readouterr().err
        == "pipecat_bot: the package pipecat is missing: pip install 'pipecat-ai[websocket]==1.14'\n"
    )
