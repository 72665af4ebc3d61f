"""What `bench load` makes of its runs; the runs themselves are `compare`'s."""

import pytest

from loadtest.bench import load
from loadtest.bench.command import as_object, describe
from loadtest.peers.comparing import Comparison
from loadtest.peers.statistics import Row, standings
from tests.loadtest.peers.test_statistics import row
from tests.loadtest.report.outcomes import outcome, silent


def comparison(rows: list[Row], **missing: str) -> Comparison:
    return Comparison(
        yardstick="haproxy", remarks=(), missing=missing, standings=standings(rows, "haproxy"), rows=tuple(rows)
    )


def test_latency_and_beside_it_the_generators_lateness() -> None:
    latency, lateness = load.latency_figures([Row(number, "1", outcome()) for number in (1, 2, 3)])
    assert (latency.measured, latency.limit, latency.is_over) == (2.1, 5.0, False)
    assert (lateness.measured, lateness.limit, lateness.is_over) == (pytest.approx(0.21), 2.0, False)


def test_discarded_rounds_do_not_count_and_are_said() -> None:
    late = outcome(discarded="the generator was the limit")
    latency, _ = load.latency_figures([Row(1, "1", late), Row(2, "1", outcome())])
    assert latency.measured == 2.1
    assert "1 of 2 rounds discarded: the generator was the limit" in latency.detail


def test_with_no_sound_round_nothing_is_kept() -> None:
    latency, lateness = load.latency_figures([Row(1, "1", silent(discarded="the generator was the limit"))])
    assert latency.measured is None
    assert latency.is_over
    assert "missing" in describe(latency)
    assert as_object(latency)["measured"] is None
    assert lateness.measured == 0


def test_ratios_to_haproxy() -> None:
    rows = [
        row("sottovoce", 1, 30.0), row("haproxy", 1, 20.0),
        row("sottovoce", 1, 50.0, tick=1000), row("haproxy", 1, 20.0, tick=1000),
    ]  # fmt: skip
    own, ticks = load.ratio_figures(comparison(rows))
    assert (own.measured, own.limit, own.is_over) == (1.5, 1.7, False)
    assert (ticks.measured, ticks.limit, ticks.is_over) == (2.5, 2.3, True)
    assert "30.0 [one round] to 20.0 [one round] µs a forwarded frame" in own.detail


def test_without_haproxy_it_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "compare", lambda *_: comparison([row("sottovoce", 1, 30.0)]))
    monkeypatch.setattr(load, "find_program", lambda _: None)
    _, _, *ratios = load.measure()
    assert [(figure.measured, figure.is_over) for figure in ratios] == [(None, True)] * 2
    assert "haproxy is missing: apt-get install" in ratios[0].detail


def test_haproxy_that_never_ran_soundly_is_no_pass() -> None:
    rows = [row("sottovoce", 1, 30.0), row("haproxy", 1, 20.0, discarded="the generator was the limit")]
    own, ticks = load.ratio_figures(comparison(rows))
    assert own.measured is None
    assert own.detail == "no sound pair of rounds: the generator was the limit"
    assert ticks.measured is None
    failed, _ = load.ratio_figures(comparison(rows[:1], haproxy="haproxy did not start"))
    assert failed.detail == "haproxy did not start"
