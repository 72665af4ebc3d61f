"""The report of the long tests: `make soak` leaves what it found in `docs/soak.md`.

A test takes its figures there by the fixture `figure`.  A run of some files writes their rows anew and leaves the
others as they are, so each row tells its own date and commit; cases of one test share a row.
"""

import datetime as dt
import platform
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

_REPORT = Path(__file__).parents[1] / "docs/soak.md"
_HEAD = """\
# The long tests

Written by `make soak`; a test that was run again by itself has a row that is younger than the others.

| test | outcome | figures | when |
|---|---|---|---|
"""
_ROW = re.compile(r"^\| `(\w+)` \|.*\|$", re.MULTILINE)


class _Outcome:
    """What became of all cases of one test function."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self.figures: list[str] = []

    def row(self, name: str, when: str) -> str:
        cases = sum(self.counts.values())
        said = ", ".join(outcome if cases == 1 else f"{count} {outcome}" for outcome, count in self.counts.items())
        return f"| `{name}` | {said} in {self.seconds:.0f} s | {'; '.join(self.figures)} | {when} |"


_outcomes: dict[str, _Outcome] = {}


def _function(item: pytest.Item) -> str:
    return getattr(item, "originalname", None) or item.name


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give what takes a test's figure for the report."""
    return _outcomes.setdefault(_function(request.node), _Outcome()).figures.append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    report = yield
    if report.when == "call" and item.get_closest_marker("soak"):
        outcome = _outcomes.setdefault(_function(item), _Outcome())
        outcome.counts[report.outcome] += 1
        outcome.seconds += report.duration
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    ran = {name: outcome for name, outcome in _outcomes.items() if outcome.counts}
    if not ran:
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, cwd=_REPORT.parent
    ).stdout.strip()
    when = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {commit or '?'}, Python {platform.python_version()}"
    is_whole = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    old = "" if is_whole or not _REPORT.exists() else _REPORT.read_text(encoding="utf-8")
    rows = {match[1]: match[0] for match in _ROW.finditer(old)}
    rows |= {name: outcome.row(name, when) for name, outcome in ran.items()}
    _REPORT.write_text(_HEAD + "\n".join(rows[name] for name in sorted(rows)) + "\n", encoding="utf-8")
