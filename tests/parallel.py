"""Runs the suite by several processes at a time, where `-n` asks for it (pytest-xdist): a pytest plugin.

The tests of a file stay together, as they share what their module starts.  What takes longest begins first.  Tests that
measure time or load the machine run *alone*: while one of them runs no process runs another test, and they come last,
so that nobody waits for them in between.
"""

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.gathering import bring, pack

_FIRST: Final = (
    "tests/fuzz/test_campaign.py",
    "tests/session/test_planted_keys.py",
    "tests/cli/test_printed_commands.py",
    "tests/cli/test_json_everywhere.py",
)
_ALONE: Final = (
    "tests/shows/",
    "tests/soak/",
    "tests/client/test_real_proxy.py",
    "tests/loadtest/peers/test_compare_for_real.py",
    "tests/loadtest/replay/test_real_proxy.py",
)
_LONG_NAME: Final = 60

_place = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("place")
    if given is None:
        given = tempfile.mkdtemp(prefix="sottovoce-tests-")
        config.add_cleanup(lambda: _clear(Path(given)))
    config.stash[_place] = Path(given)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that is about to begin where turns are taken."""
    node.workerinput["place"] = str(node.config.stash[_place])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process that is done has gathered."""
    bring(node.config, getattr(node, "workeroutput", {}).get("gathered", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["gathered"] = pack(session.config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.nodeid))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case by its argument and number where its value may be another in each process: keys, files."""
    is_long = isinstance(val, bytes) or (isinstance(val, str) and (len(val) > _LONG_NAME or "\n" in val))
    return argname if is_long else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with _turn(item.config.stash[_place], is_alone=_is_alone(item.nodeid)):
        return (yield)


def _is_alone(name: str) -> bool:
    return name.startswith(_ALONE)


def _rank(name: str) -> int:
    if _is_alone(name):
        return len(_FIRST) + 1
    return next((rank for rank, first in enumerate(_FIRST) if name.startswith(first)), len(_FIRST))


@contextmanager
def _turn(place: Path, *, is_alone: bool) -> Generator[None]:
    """Run beside others, or alone.  Who waits to be alone stands in the door, so that nobody overtakes it."""
    with _locked(place / "door", fcntl.LOCK_EX):
        room = _lock(place / "room", fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(room)


@contextmanager
def _locked(path: Path, kind: int) -> Generator[None]:
    descriptor = _lock(path, kind)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, kind)
    return descriptor


def _clear(place: Path) -> None:
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
