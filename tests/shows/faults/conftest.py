"""What faults are planted into; made once, whichever fault asks for it first."""

import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import ROOT, RunningProxy, copy_directory, environment, make_directory
from tests.shows.faults.world import World, a_guarded_proxy, a_proxy_with_bad_backends


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="session")
def proxy(made_by_init: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    with a_proxy_with_bad_backends(copy_directory(made_by_init, tmp_path_factory.mktemp("well"))) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def guarded(made_by_init: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    with a_guarded_proxy(copy_directory(made_by_init, tmp_path_factory.mktemp("guarded"))) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Give a directory that was made so many days ago."""
    made: dict[int, Path] = {}

    def directory(days: int) -> Path:
        if days not in made:
            made[days] = tmp_path_factory.mktemp("shifted") / "voice"
            words = [sys.executable, "-m", "tests.app.doctor.shifted_clock", "init", str(made[days]), "--port", "0"]
            env = environment(SHIFTED_DAYS=str(days))
            done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return made[days]

    return directory


@pytest.fixture
def world(made_by_init: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Generator[World]:
    with ExitStack() as stack:
        yield World(made_by_init, tmp_path, stack, request.getfixturevalue)
