"""Tells the fuzz campaigns of a test run in a table: a pytest plugin, as whoever makes the summary collects no test."""

from collections.abc import Callable

import pytest

from tests.gathering import all_of, gather

_told = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    gather(config, "fuzz", config.stash.setdefault(_told, []).copy)


@pytest.fixture
def tell_campaign(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Have a line in the table."""
    return request.config.stash[_told].append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := all_of(config, "fuzz"):
        terminalreporter.section("fuzz targets")
        for line in told:
            terminalreporter.line(line)
