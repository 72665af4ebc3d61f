from msgspec.structs import replace

from loadtest.peers.comparing import Comparison
from loadtest.peers.statistics import Row, Spread, standings
from loadtest.peers.table import describe_comparison, show, summary
from loadtest.replay.outcome import Cost
from loadtest.report.table import aligned
from tests.loadtest.peers.test_statistics import ROWS, row
from tests.loadtest.report.outcomes import quantiles, silent


def comparison(rows: list[Row], **missing: str) -> Comparison:
    return Comparison(
        yardstick="haproxy",
        remarks=("Servers on core 0.",),
        missing=missing,
        standings=standings(rows, "haproxy"),
        rows=tuple(rows),
    )


def test_the_table() -> None:
    heads, ours, theirs, _ = summary(comparison(ROWS))
    assert heads[4] == "to haproxy"
    assert ours == [
        "sottovoce 1.0", "each its own", "3 of 3", "39.0 [30.0 to 44.0]", "1.50 [1.30 to 2.00]", "0.10 [0.10 to 0.10]",
        "2.10 [2.10 to 2.10]", "61.4 [61.4 to 61.4]", "30",
    ]  # fmt: skip
    assert theirs[5] == "has none"


def test_every_cell_says_something() -> None:
    rows = [*ROWS, Row(1, "1.0", silent(name="nginx", tick_us=1000)), row("haproxy", 1, None, tick=1000)]
    for line in summary(comparison(rows)):
        assert all(cell.strip() not in {"", "-"} for cell in line)


def test_what_does_not_count_and_who_is_missing_stand_beneath() -> None:
    bad = row("haproxy", 2, 20.0, tick=1000, discarded="the generator was the limit: late by 7 ms")
    found = describe_comparison(comparison([*ROWS, bad], nginx="nginx is missing: apt-get install nginx"))
    text = "haproxy, gathered to ticks of 1000 µs, round 2: the generator was the limit: late by 7 ms"
    assert f"DISCARDED: {text}" in found
    assert "not compared: nginx is missing: apt-get install nginx" in found
    assert "Servers on core 0." in found
    assert found[-1].startswith("100 calls, 50 frames/s each way, 10 s a round; medians with [range]; 2026-11-26")


def test_a_saturated_contender_is_named() -> None:
    late = row("nginx", 1, 9.5, latency=quantiles(100))
    found = describe_comparison(comparison([late]))
    assert "not held" in found[1]
    text = "nginx, each frame at an instant of its own, round 1: p99 210 ms, so its cost does not count"
    assert f"SATURATED: {text}" in found


def test_a_machine_that_was_not_quiet_is_named() -> None:
    waits = zip(ROWS[:3], (0.01, 0.2, 0.31), strict=True)
    busy = [replace(one, outcome=replace(one.outcome, cost=Cost(proxy_waited_cores=wait))) for one, wait in waits]
    (line,) = (line for line in describe_comparison(comparison(busy)) if line.startswith("NOT A QUIET MACHINE"))
    assert line.startswith("NOT A QUIET MACHINE: in 2 of 3 runs others had the server's core, up to 31% of the time")


def test_nothing_ran() -> None:
    assert describe_comparison(comparison([]))[0].startswith("contender")


def test_columns_stand_under_each_other() -> None:
    assert aligned([["a", "bb", "c"], ["dddd", "e", "f"]]) == ["a     bb  c", "dddd  e   f"]


def test_one_round_has_no_range() -> None:
    assert show(Spread(18.6, 18.6, 18.6, 1), "none") == "18.6 [one round]"
    assert show(None, "none") == "none"
