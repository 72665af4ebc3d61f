"""A real token in SoftHSM, made once; each test works on a copy of its directory."""

import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from sottovoce.hsm import Cluster, HsmConfig, SealedSeed, TokenEvent, TokenUp, new_configuration, open_token
from tests.hsm.token_child import MAKE_KEYS, Nothing

COMMAND = (sys.executable, str(Path(__file__).with_name("token_child.py")))
PATIENT = HsmConfig(deadline_seconds=10, hang_grace_seconds=10)
"""For tests that do not look at hangs: a busy machine is no fault."""


@pytest.fixture(scope="session")
def made_token(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SealedSeed]:
    directory = tmp_path_factory.mktemp("token")
    config = PATIENT.resolved(directory)
    (directory / "hsm").mkdir()
    (directory / "secrets").mkdir()
    new_configuration(Path(config.softhsm_config))

    async def make() -> SealedSeed:
        async with open_token(config, command=COMMAND, files={}, report=[].append, create=True) as token:
            return (await token.call(MAKE_KEYS, Nothing(), deadline_seconds=60)).sealed

    return directory, trio.run(make)


@pytest.fixture
def directory(made_token: tuple[Path, SealedSeed], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_token[0], tmp_path / "directory"))


@pytest.fixture
def sealed(made_token: tuple[Path, SealedSeed]) -> SealedSeed:
    return made_token[1]


@pytest.fixture
def events() -> list[TokenEvent]:
    return []


OpenToken = Callable[..., AbstractAsyncContextManager[Cluster]]


@pytest.fixture
def opened(directory: Path, events: list[TokenEvent]) -> OpenToken:
    """Open the token of `directory`, with changes to its configuration."""

    @asynccontextmanager
    async def opened(files: dict[str, str] | None = None, **changes: Any) -> AsyncGenerator[Cluster]:
        config = msgspec.structs.replace(PATIENT, **changes).resolved(directory)
        async with open_token(config, command=COMMAND, files=files or {}, report=events.append) as token:
            yield token

    return opened


def pid_of(events: list[TokenEvent]) -> int:
    """The process that serves now."""
    return next(event.pid for event in reversed(events) if isinstance(event, TokenUp))
