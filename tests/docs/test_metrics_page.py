"""docs/metrics.md names every metric with its labels, and nothing else."""

import re
from pathlib import Path

from tests.docs.metrics_named import label_names, names_in, series
from tests.observe.metrics.exercised import exercised, samples

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z_]+)` \|([^|]*)\| (.+) \|$", PAGE, re.MULTILINE)


def in_the_registry() -> dict[str, set[str]]:
    """Each metric's labels; a histogram stands for its series."""
    parts = re.compile(r"_(bucket|count|sum)$")
    histograms = {parts.sub("", name) for name in series() if name.endswith("_bucket")}
    names = {parts.sub("", name) if parts.sub("", name) in histograms else name for name in series()}
    return {name: label_names(f"{name}_sum" if name in histograms else name) for name in names}


def test_each_metric_has_its_row_and_each_row_its_metric() -> None:
    assert sorted(name for name, _, _ in ROWS) == sorted(in_the_registry())


def test_each_row_has_the_metrics_labels() -> None:
    known = in_the_registry()
    for name, labels, _ in ROWS:
        assert set(re.findall(r"`([a-z_]+)`", labels)) == known[name], name


def test_each_row_says_what_it_tells() -> None:
    assert all(len(text) > 5 for _, _, text in ROWS)


def test_the_text_names_no_other_metric() -> None:
    assert names_in(PAGE) <= set(in_the_registry())


def test_outcomes_that_the_page_lists_are_those_of_the_registry() -> None:
    [row] = [text for name, _, text in ROWS if name == "sottovoce_frames_total"]
    frames = [each for each in samples(exercised()) if each.name == "sottovoce_frames_total"]
    assert {each.labels["outcome"] for each in frames} <= set(re.findall(r"`([a-z_]+)`", row))
