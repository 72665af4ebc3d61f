"""The report of the long tests: `make soak` leaves what it found in `docs/soak.md`.

A test takes its figures there by the fixture `figure`.
"""

import datetime as dt
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

_REPORT = Path(__file__).parents[1] / "docs/soak.md"
_figures: list[tuple[str, str]] = []
_outcomes: dict[str, str] = {}


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give what takes a test's figure for the report."""

    def take(text: str) -> None:
        _figures.append((request.node.name, text))

    return take


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    report = yield
    if report.when == "call" and item.get_closest_marker("soak"):
        _outcomes[item.name] = f"{report.outcome} in {report.duration:.0f} s"
    return report


def pytest_sessionfinish() -> None:
    if not _outcomes:
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, cwd=_REPORT.parent
    ).stdout.strip()
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    lines = [
        "# The long tests",
        "",
        f"Written by `make soak` on {today}, at commit {commit or '?'}, under Python {platform.python_version()}.",
        "",
        "| test | outcome | figures |",
        "|---|---|---|",
    ]
    for name, outcome in _outcomes.items():
        figures = "; ".join(text for test, text in _figures if test == name)
        lines.append(f"| `{name}` | {outcome} | {figures} |")
    _REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
