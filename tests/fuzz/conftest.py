"""The fuzz campaigns of a test run: two at a time beside all other tests, which go before; told in a table."""

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fuzz.campaign import SECONDS, Campaign, run_campaign, stop_all

AT_A_TIME = 2
_CAMPAIGNS = pytest.StashKey[dict[str, Future[Campaign]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin every campaign that a selected test asks for."""
    wanted = [
        str(item.callspec.params["name"])
        for item in session.items
        if isinstance(item, pytest.Function) and "campaigns" in item.fixturenames
    ]
    if not wanted or session.config.option.collectonly:
        return
    place, pool = tempfile.TemporaryDirectory(prefix="sottovoce-fuzz-"), ThreadPoolExecutor(AT_A_TIME)
    futures = {name: pool.submit(run_campaign, name, Path(place.name)) for name in wanted}
    session.config.stash[_CAMPAIGNS] = futures

    def end() -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        stop_all()
        pool.shutdown()
        place.cleanup()

    session.config.add_cleanup(end)


@pytest.fixture
def campaigns(request: pytest.FixtureRequest) -> dict[str, Future[Campaign]]:
    """Every campaign of this run, over, running or about to run."""
    return request.config.stash[_CAMPAIGNS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ended = [future for future in config.stash.get(_CAMPAIGNS, {}).values() if future.done() and not future.cancelled()]
    if ended:
        terminalreporter.section(f"fuzz targets, {SECONDS} s each")
        for campaign in (future.result() for future in ended):
            terminalreporter.line(f"{campaign}{'   FAULT' if campaign.fault else ''}")
