"""A proxy that runs as an operator would run it, with one listener for each policy."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.running import RunningProxy, make_directory, running_proxy

UNLIMITED = tuple(
    f"{listener}.{limit}"
    for listener in ("listener", "listeners.strict")
    for limit in (
        "max_handshakes_per_second=100000",
        "max_prefix_handshakes_per_second=100000",
        "max_handshakes_per_address=4096",
        "max_handshakes_per_prefix=4096",
        "bad_hello_weight=0",
    )
)
"""Scanners make hundreds of connections in a second: the limits would answer in the place of TLS."""


@pytest.fixture(scope="package")
def made_by_init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("judges"))


@pytest.fixture(scope="package")
def proxy(made_by_init: Path) -> Generator[RunningProxy]:
    """The first address prefers the hybrid, the second one requires it."""
    strict = ("listeners.strict.address=127.0.0.1:0", "listeners.strict.pq=require")
    with running_proxy(made_by_init, "listener.pq=prefer", *strict, *UNLIMITED) as proxy:
        assert len(proxy.addresses) == 2
        yield proxy
