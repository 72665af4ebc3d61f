"""Which metrics the dashboard, the alerts and the page name, and which there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.observe.metrics.exercised import exercised, samples

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "config/grafana/sottovoce.json"
RULES = ROOT / "config/prometheus/rules.yml"
_NAME = re.compile(r"\b(?:sottovoce|process)_[a-z_]+")


def series() -> set[str]:
    """The names that a query may use."""
    return {each.name for each in samples(exercised())}


def label_names(name: str) -> set[str]:
    """The labels of a metric, as they are scraped."""
    return {label for each in samples(exercised()) if each.name == name for label in each.labels}


def names_in(text: str) -> set[str]:
    return set(_NAME.findall(text))


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression of the dashboard, with its panel's title."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def as_query(expression: str) -> str:
    """An expression with Grafana's variables filled in."""
    return expression.replace("$__rate_interval", "5m").replace("$instance", "a|b")


def alerts() -> dict[str, str]:
    """Each alert's text, by its name; promtool reads the file as YAML, here its lines will do."""
    blocks = RULES.read_text(encoding="utf-8").split("- alert: ")[1:]
    return {block.split(maxsplit=1)[0]: block for block in blocks}
