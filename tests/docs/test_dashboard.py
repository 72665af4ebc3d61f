"""The dashboard is one that Grafana can load, and names what there is."""

import json
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest

from tests.docs.metrics_named import dashboard, expressions, label_names, names_in, series

SCHEMA = json.loads(Path(__file__).with_name("dashboard.schema.json").read_text(encoding="utf-8"))


def test_it_keeps_to_the_model() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(dashboard())


@pytest.mark.parametrize("spoilt", [{"panels": []}, {"uid": "short"}, {"id": 7}, {"odd": 1}, {"timezone": "Mars"}])
def test_the_schema_refuses_what_is_no_dashboard(spoilt: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(dashboard() | spoilt)


def test_panels_have_numbers_of_their_own_and_do_not_lie_on_each_other() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, two in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or above, (one, two)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_each_target_of_a_panel_has_a_letter_of_its_own() -> None:
    for panel in dashboard()["panels"]:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)


def test_every_expression_names_metrics_and_only_those_that_there_are() -> None:
    known = series()
    for title, expression in expressions():
        assert names_in(expression), title
        assert names_in(expression) <= known, title


def test_every_expression_asks_for_the_chosen_proxies_alone() -> None:
    for title, expression in expressions():
        assert expression.count("{") == expression.count('{instance=~"$instance"'), title


def test_legends_name_labels_that_there_are() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            wanted = {part.partition("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
            there = {"instance"} | {label for name in names_in(target["expr"]) for label in label_names(name)}
            assert wanted <= there, panel["title"]


def test_the_choice_of_proxies_comes_from_a_metric_that_there_is() -> None:
    choices = [each["query"] for each in dashboard()["templating"]["list"] if each["type"] == "query"]
    assert choices == ["label_values(sottovoce_build_info, instance)"]


def test_nearly_every_metric_of_ours_is_on_it() -> None:
    shown = {name for _, expression in expressions() for name in names_in(expression)} | {"sottovoce_build_info"}
    ours = {name for name in series() if name.startswith("sottovoce_")}
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in ours - shown}
    shown_families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in shown}
    assert families <= shown_families
