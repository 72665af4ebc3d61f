import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loadtest.peers.statistics import Row, Spread, discarded, middle, saturated, spread, standings
from tests.loadtest.report.outcomes import outcome, quantiles, route, silent


def row(name: str, number: int, cost: float | None, *, tick: int = 0, **changes: object) -> Row:
    known = outcome(name=name, tick_us=tick, **changes)
    return Row(number, "1.0", replace(known, cost=replace(known.cost, proxy_us_per_frame=cost)))


ROWS = [
    row("sottovoce", 1, 30.0), row("haproxy", 1, 20.0), row("nginx", 1, 16.0),
    row("sottovoce", 2, 44.0), row("haproxy", 2, 22.0), row("nginx", 2, 22.0),
    row("sottovoce", 3, 39.0), row("haproxy", 3, 30.0), row("nginx", 3, 27.0),
]  # fmt: skip


def test_medians_with_their_ranges() -> None:
    assert spread([3.0, 1.0, None, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    assert spread([None]) is None
    assert spread([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_median_is_within_its_range(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert found.lowest <= found.median <= found.highest
    assert found.rounds == len(values)


def test_ratios_are_of_the_same_round() -> None:
    ours, theirs, others = standings(ROWS, "haproxy")
    assert (ours.name, theirs.name, others.name) == ("sottovoce", "haproxy", "nginx")
    assert ours.ratio == Spread(1.5, 1.3, 2.0, 3)
    assert theirs.ratio == Spread(1.0, 1.0, 1.0, 3)
    assert others.ratio == Spread(0.9, 0.8, 1.0, 3)
    assert ours.proxy_us_per_frame == Spread(39.0, 30.0, 44.0, 3)
    assert (ours.rounds, ours.discarded, ours.lost, ours.wrong) == (3, 0, 30, 0)
    assert ours.p99_ms == Spread(2.1, 2.1, 2.1, 3)
    assert ours.rss_kib_per_call == Spread(61.4, 61.4, 61.4, 3)


def test_arrival_models_are_kept_apart() -> None:
    rows = [*ROWS, row("haproxy", 1, 10.0, tick=1000), row("sottovoce", 1, 40.0, tick=1000)]
    found = standings(rows, "haproxy")
    assert [(each.name, each.tick_us) for each in found] == [
        ("sottovoce", 0), ("haproxy", 0), ("nginx", 0), ("sottovoce", 1000), ("haproxy", 1000)
    ]  # fmt: skip
    assert found[3].ratio == Spread(4.0, 4.0, 4.0, 1)
    assert found[0].ratio == Spread(1.5, 1.3, 2.0, 3)


def test_a_discarded_row_does_not_count_and_is_listed() -> None:
    bad = replace(ROWS[0], outcome=replace(ROWS[0].outcome, discarded="the generator was the limit"))
    ours, theirs, _ = standings([bad, *ROWS[1:]], "haproxy")
    assert (ours.rounds, ours.discarded) == (2, 1)
    assert ours.ratio == Spread(pytest.approx(1.65), 1.3, 2.0, 2)  # type: ignore[arg-type]
    assert theirs.rounds == 3
    assert discarded([bad, *ROWS[1:]]) == [(bad, "the generator was the limit")]


def test_where_the_yardstick_is_discarded_there_is_no_ratio_of_that_round() -> None:
    bad = replace(ROWS[1], outcome=replace(ROWS[1].outcome, discarded="the generator was the limit"))
    ours, _, others = standings([ROWS[0], bad, *ROWS[2:]], "haproxy")
    assert ours.rounds == 3
    assert ours.ratio is not None
    assert ours.ratio.rounds == 2
    assert others.ratio is not None
    assert others.ratio.rounds == 2


def test_without_a_sound_round_there_is_no_figure() -> None:
    (found,) = standings([Row(1, "1.0", silent())], "haproxy")
    assert (found.rounds, found.discarded) == (0, 1)
    assert (found.ratio, found.p99_ms, found.proxy_us_per_frame, found.rss_kib_per_call) == (None,) * 4


def test_the_cost_of_who_was_saturated_does_not_count_and_his_latency_does() -> None:
    late = row("sottovoce", 1, 9.5, latency=quantiles(100))
    assert late.is_sound
    assert late.was_saturated
    ours, theirs, _ = standings([late, *ROWS[1:]], "haproxy")
    assert (ours.rounds, ours.saturated, theirs.saturated) == (3, 1, 0)
    assert ours.proxy_us_per_frame == Spread(41.5, 39.0, 44.0, 2)
    assert ours.ratio is not None
    assert ours.ratio.rounds == 2
    assert ours.p99_ms is not None
    assert ours.p99_ms.highest == 210.0
    assert saturated([late, *ROWS[1:]]) == [late]


def test_a_discarded_row_is_not_called_saturated() -> None:
    assert not row("nginx", 1, 9.5, latency=quantiles(100), discarded="it was late").was_saturated


def test_why_a_row_does_not_count() -> None:
    assert Row(1, "1.0", silent()).reason == "no frame came back"
    assert Row(1, "1.0", outcome(is_partial=True)).reason == "stopped before its time"
    assert Row(1, "1.0", outcome()).is_sound


def test_a_cost_that_nobody_could_read_gives_no_ratio() -> None:
    ours, theirs = standings([row("sottovoce", 1, None), row("haproxy", 1, 20.0)], "haproxy")
    assert (ours.ratio, ours.proxy_us_per_frame) == (None, None)
    assert theirs.ratio == Spread(1.0, 1.0, 1.0, 1)


def test_wrong_frames_are_counted() -> None:
    (found,) = standings([row("haproxy", 1, 20.0, routes=(route(wrong=2), route(wrong=1)))], "haproxy")
    assert found.wrong == 3


def test_the_run_in_the_middle_is_drawn() -> None:
    bad = [row("nginx", number, 1.0, discarded="it was late") for number in (4, 5, 6)]
    found = middle([*ROWS, *bad])
    assert [(each.name, each.cost.proxy_us_per_frame) for each in found] == [
        ("sottovoce", 39.0), ("haproxy", 22.0), ("nginx", 22.0)
    ]  # fmt: skip
    assert middle(bad)[0].discarded == "it was late"
    assert middle([]) == []
