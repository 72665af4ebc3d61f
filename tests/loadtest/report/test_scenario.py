"""What a scenario adds to the table and to the page: its groups, its phases, and what happened when."""

import re
from xml.etree import ElementTree as ET

from loadtest.replay.outcome import GroupLatency, Happening, Outcome, PhaseOutcome, Quantiles
from loadtest.report import describe
from loadtest.report.page import html_page
from loadtest.report.svg import Axis, Curve, Mark, chart
from tests.loadtest.report.outcomes import outcome, quantiles, route


def storm() -> Outcome:
    groups = (
        route(group="running", by_second=tuple((at, 2.0 + at) for at in range(10))),
        route(group="coming", by_second=((5, 9.0), (6, 8.0)), clears=quantiles(20, 40)),
    )
    phases = (
        PhaseOutcome("quiet", 0, 5, (GroupLatency("running", quantiles()), GroupLatency("coming", Quantiles()))),
        PhaseOutcome("storm", 5, 10, (GroupLatency("running", quantiles(3)), GroupLatency("coming", quantiles(4)))),
    )
    return outcome(
        about="new calls beside those that run",
        routes=groups,
        phases=phases,
        happenings=(Happening(5.0, "coming begins"), Happening(7.5, "backend down & up")),
    )


def test_the_table_tells_of_groups_phases_and_events() -> None:
    lines = describe(storm())
    assert lines[0].startswith("sottovoce: new calls beside those that run (100 calls, 2 groups, 10 s")
    groups = [line for line in lines if line.startswith("  group")]
    assert "running at wss://localhost:8443/echo" in groups[0]
    assert "barge-in: p50 16.0 ms" in groups[1]
    assert "  phase            quiet, 0 to 5 s: running p99 2.10 ms, coming p99 no frame came back" in lines
    assert "  event            7.5 s: backend down & up" in lines


def test_the_page_draws_and_tabulates_them() -> None:
    page = html_page([storm()])
    ET.fromstring(page.partition("\n")[2])  # noqa: S314  our own
    marks = re.findall(r'<text class="event"[^>]*>([^<]*)</text>', page)
    assert marks[:4] == ["quiet", "storm", "coming begins", "backend down &amp; up"]
    assert "running, p99" in page
    assert "<h2>Added latency in each phase</h2>" in page
    assert "storm, 5 to 10 s" in page


def test_several_runs_have_no_marks_of_one_of_them() -> None:
    page = html_page([storm(), outcome()])
    assert 'class="event" x1' not in page
    assert "Each group" not in page


def test_one_group_alone_is_drawn_once() -> None:
    page = html_page([outcome(about="one", routes=(route(group="only"),))])
    assert "<h2>Each group</h2>" not in page
    assert "in each phase" not in page


def test_names_of_neighbours_stand_in_rows() -> None:
    axis = Axis("x", 0, 10, [])
    drawn = chart(
        axis, axis, [Curve("a", 0, [(0, 1), (1, 2)])], height=90, title="t", marks=[Mark(1, "a"), Mark(1, "b")]
    )
    heights = re.findall(r'<text class="event" x="[\d.]+" y="([\d.]+)"', drawn)
    assert len(set(heights)) == 2
