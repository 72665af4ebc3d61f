"""What Prometheus' own tool says of the alerts, of their tests, of the dashboard's expressions, and of a scrape."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import find_tool
from tests.docs.metrics_named import RULES, alerts, as_query, expressions
from tests.observe.metrics.exercised import exercised


def promtool(*words: str | Path, said: bytes = b"") -> str:
    """Run it; what it complains of fails the test."""
    program = find_tool("promtool")
    assert program is not None
    done = subprocess.run(
        [program, *map(str, words)], input=said, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    text = done.stdout.decode()
    assert done.returncode == 0, text
    return text


@pytest.mark.interop(tool="promtool")
def test_the_rules_are_sound() -> None:
    assert f"SUCCESS: {len(alerts())} rules found" in promtool("check", "rules", RULES)


@pytest.mark.interop(tool="promtool")
def test_the_rules_keep_their_tests() -> None:
    assert "SUCCESS" in promtool("test", "rules", RULES.with_name("rules_test.yml"))


@pytest.mark.interop(tool="promtool")
def test_a_test_that_expects_the_opposite_fails(tmp_path: Path) -> None:
    text = RULES.with_name("rules_test.yml").read_text(encoding="utf-8")
    spoilt = tmp_path / "rules_test.yml"
    spoilt.write_text(text.replace("rules.yml", str(RULES)).replace("values: 1x8 0x5", "values: 1x20"))
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", spoilt)


@pytest.mark.interop(tool="promtool")
def test_the_dashboards_expressions_are_queries(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:expression{number}", "expr": as_query(expression)}
        for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "expressions.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)


@pytest.mark.interop(tool="promtool")
def test_a_scrape_is_clean() -> None:
    """`check metrics` reads a scrape and lints it as well: a complaint is an exit status of its own."""
    body, _ = exercised().exposition("")
    assert promtool("check", "metrics", said=body) == ""
