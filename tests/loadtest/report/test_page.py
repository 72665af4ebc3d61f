import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from loadtest.replay.outcome import Outcome
from loadtest.report import write_html
from loadtest.report.page import Opening, html_page
from tests.loadtest.report.outcomes import outcome, route, silent

ONE = [outcome()]
SEVERAL = [outcome(), outcome(name="haproxy"), outcome(name="haproxy"), outcome(name="nginx", discarded="it was late")]
HOSTILE = outcome(
    name="<script>alert(1)</script>",
    machine='"&<>',
    routes=(route(url="wss://a/<img src=x>", reasons={"</style>": 1}), route()),
)


def tree(page: str) -> ET.Element:
    """The page as XML; raises where it is not well-formed."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))  # noqa: S314  our own page


def text_of(page: str) -> str:
    return " ".join("".join(tree(page).itertext()).split())


@pytest.mark.parametrize("outcomes", [ONE, SEVERAL, [silent()], [silent(), outcome()], [HOSTILE], []])
def test_it_is_well_formed_and_wants_nothing_of_the_network(outcomes: list[Outcome]) -> None:
    page = html_page(outcomes)
    root = tree(page)
    assert not re.search(r"https?://|//[a-z]+\.|url\(|@import", page.replace("wss://", ""))
    names = {element.tag for element in root.iter()}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
    for element in root.iter():
        assert not {name for name in element.attrib if name.startswith("on") or name in {"src", "href", "srcset"}}
    policy = next(e for e in root.iter("meta") if e.get("http-equiv") == "Content-Security-Policy")
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'"
    assert "nan" not in page
    assert "None" not in page


def test_a_browser_reads_it_as_xml_does() -> None:
    """No void element is closed by a tag of its own, and every other one is."""

    class Reader(HTMLParser):
        open: list[str] = []  # noqa: RUF012  one reader

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "br"}:
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in {"meta", "br", "line", "rect", "circle", "polyline"}, tag

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    reader = Reader()
    reader.feed(html_page(SEVERAL))
    assert reader.open == []


def test_it_has_charts_and_figures() -> None:
    page = html_page(ONE)
    charts = list(tree(page).iter("svg"))
    assert [chart.get("aria-label") for chart in charts] == [
        "added latency, ms", "lateness, ms", "Distribution of added latency"
    ]  # fmt: skip
    curves = [list(chart.iter("polyline")) for chart in charts]
    assert [len(each) for each in curves] == [3, 1, 1]
    assert all(len(str(each.get("points")).split()) > 1 for chart in curves for each in chart)
    said = text_of(page)
    assert "50 000 offered, 49 990 carried, 10 lost (0.02 %)" in said
    assert "prefers-color-scheme: dark" in page


def test_a_pointer_is_told_what_stands_there() -> None:
    chart = next(tree(html_page(ONE)).iter("svg"))
    titles = [str(each.text) for each in chart.iter("title")]
    assert len(titles) == 10
    assert titles[3].startswith("second 3\nsottovoce: p50 1.04 ms")
    assert "generator's lateness p99 0.21 ms" in titles[3]


def test_several_runs_stand_side_by_side() -> None:
    page = html_page(SEVERAL)
    heads = [element.text for element in tree(page).iter("th") if element.get("scope") == "col"]
    assert heads == ["figure", "sottovoce", "haproxy 1", "haproxy 2", "nginx"]
    assert "DISCARDED: it was late" in text_of(page)
    curves = list(next(tree(page).iter("svg")).iter("polyline"))
    assert len({curve.get("class") for curve in curves}) == 4


def test_states_stand_in_words() -> None:
    assert "sound" in text_of(html_page(ONE))
    assert "no frame came back" in text_of(html_page([silent()]))


def test_every_style_has_a_colour_for_light_and_dark_and_a_dash() -> None:
    style = str(next(tree(html_page(ONE)).iter("style")).text)
    light, dark = style.split("@media", 1)
    for number in range(6):
        assert f"--c{number}:" in light
        assert f"--c{number}:" in dark
        assert f".curve.c{number}" in style
    dashes = re.findall(r"\.curve\.c\d \{[^}]*?(?:stroke-dasharray: ([\d ]+))?; \}", style)
    assert len(set(dashes)) == 6


def test_what_others_say_stays_text() -> None:
    page = html_page([HOSTILE], Opening(title="<b>", remarks=["<b>"], summary=[["<i>"], ["<u>"]]))
    assert {"script", "img", "b", "i", "u"} & {element.tag for element in tree(page).iter()} == set()
    assert "<script>alert(1)</script>" in text_of(page)


def test_a_summary_stands_first() -> None:
    page = html_page(
        ONE, Opening(title="All", summary=[["contender", "ratio"], ["haproxy", "1.00"]], remarks=["on one core"])
    )
    assert page.index("contender") < page.index("on one core") < page.index("<svg")


def test_it_is_one_file(tmp_path: Path) -> None:
    write_html(ONE, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == html_page(ONE)
