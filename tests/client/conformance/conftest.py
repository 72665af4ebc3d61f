"""A scenario's `driver`, one shell after the other, and its `host`; after it no descriptor may be open that was not."""

import asyncio
import gc
from collections.abc import Generator
from pathlib import Path

import pytest
import uvloop

from tests.client.conformance.drivers import DRIVERS
from tests.client.conformance.hosts import Host, a_host
from tests.client.conformance.words import Driver


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request: pytest.FixtureRequest) -> Driver:
    return request.param


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(scope="session")
def _once() -> None:
    uvloop.run(asyncio.sleep(0))  # it opens two descriptors that stay


@pytest.fixture
def host(_once: None) -> Generator[Host]:
    descriptors = open_descriptors()
    with a_host() as host:
        yield host
        host.until_done()
    gc.collect()  # what a broken-off call left is this test's affair, not that of whichever comes next
    assert open_descriptors() == descriptors, "a socket was left open"
