"""Directories as `init` makes them, for tests: one made once, copies of it, and its token opened."""

import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from sottovoce.app.initialise import initialise
from sottovoce.app.places import token_files
from sottovoce.app.token_process import COMMAND
from sottovoce.hsm import Cluster, HsmConfig, TokenEvent, TokenUp, open_token

PATIENT = HsmConfig(deadline_seconds=30, hang_grace_seconds=30, start_seconds=60)
"""A busy machine is no fault."""
DEADLINE = 60.0
"""For calls of which no test wants to see the end of the patience."""
HOSTS = ("localhost", "127.0.0.1", "::1", "*.voice.example")

OpenToken = Callable[..., AbstractAsyncContextManager[Cluster]]


@pytest.fixture(scope="session")
def made_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "directory"
    trio.run(partial(initialise, directory, hosts=HOSTS, progress=[].append))
    return directory


@pytest.fixture
def directory(made_directory: Path, tmp_path: Path) -> Path:
    """A copy, for this test to spoil."""
    return Path(shutil.copytree(made_directory, tmp_path / "directory"))


@pytest.fixture(scope="session")
def made_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tokens a, b and c."""
    directory = tmp_path_factory.mktemp("made") / "three"
    trio.run(partial(initialise, directory, hosts=HOSTS, tokens=3, progress=[].append))
    return directory


@pytest.fixture
def three(made_of_three: Path, tmp_path: Path) -> Path:
    """A copy of that."""
    return Path(shutil.copytree(made_of_three, tmp_path / "three"))


@pytest.fixture
def token_events() -> list[TokenEvent]:
    return []


@pytest.fixture
def opened(directory: Path, token_events: list[TokenEvent]) -> OpenToken:
    """Open the token of `directory`, with changes to its configuration."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncGenerator[Cluster]:
        config = msgspec.structs.replace(PATIENT, **changes).resolved(directory)
        files = token_files(config, directory)
        async with open_token(config, command=COMMAND, files=files, report=token_events.append) as token:
            yield token

    return opened


def token_pid(events: list[TokenEvent]) -> int:
    """The token process that serves now."""
    return next(event.pid for event in reversed(events) if isinstance(event, TokenUp))
