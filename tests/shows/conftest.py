"""A directory as `init` makes it, made once; each test works on a copy of it."""

from pathlib import Path

import pytest

from tests.running import copy_directory, make_directory


@pytest.fixture(scope="session")
def made_by_init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("shows"))


@pytest.fixture
def directory(made_by_init: Path, tmp_path: Path) -> Path:
    return copy_directory(made_by_init, tmp_path)


@pytest.fixture(scope="session")
def made_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("three"), "--tokens", "3")


@pytest.fixture
def three(made_of_three: Path, tmp_path: Path) -> Path:
    """A directory with three tokens, `a`, `b` and `c`."""
    return copy_directory(made_of_three, tmp_path)
