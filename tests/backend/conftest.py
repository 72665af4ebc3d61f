"""A backend on each event loop that there is a shell for."""

import logging
from collections.abc import Generator

import pytest

from tests.backend.servers import Server


@pytest.fixture(params=["trio", "asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Server:
    return Server(request.param)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "sottovoce.backend"):
        yield caplog
