"""The fuzz campaigns of a test run: two at a time, begun when the first of them is asked for, told in a table."""

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.fuzz.campaign import SECONDS, Campaign, run_campaign

AT_A_TIME = 2
_campaigns: list[Campaign] = []


@pytest.fixture(scope="session")
def campaigns(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[dict[str, Future[Campaign]]]:
    """Every campaign that a selected test asks for, running or about to run."""
    place = tmp_path_factory.mktemp("fuzz")
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and "campaigns" in item.fixturenames
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        futures = {name: pool.submit(run_campaign, name, place) for name in wanted}
        yield futures
        for future in futures.values():
            future.cancel()
    _campaigns.extend(future.result() for future in futures.values() if not future.cancelled())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _campaigns:
        terminalreporter.section(f"fuzz targets, {SECONDS} s each")
        for campaign in _campaigns:
            terminalreporter.line(f"{campaign}{'   FAULT' if campaign.fault else ''}")
