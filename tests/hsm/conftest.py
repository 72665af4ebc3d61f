"""Real tokens in SoftHSM, made once; each test works on a copy of their directory."""

import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from sottovoce.hsm import (
    Cluster,
    HsmConfig,
    NodeConfig,
    SealedSeed,
    TokenEvent,
    TokenUp,
    new_configuration,
    open_pool,
    open_token,
)
from tests.hsm.token_child import MAKE_KEYS, Keys, Nothing

COMMAND = (sys.executable, str(Path(__file__).with_name("token_child.py")))
PATIENT = HsmConfig(deadline_seconds=10, hang_grace_seconds=10)
"""For tests that do not look at hangs: a busy machine is no fault."""
THREE = msgspec.structs.replace(
    PATIENT,
    nodes={
        name: NodeConfig(
            pin_file=f"secrets/{name}.pin",
            softhsm_config=f"hsm/{name}/softhsm2.conf",
            keys=f"keys/{name}",
            issuing=f"certs/issuing-{name}.pem",
        )
        for name in "abc"
    },
)


@pytest.fixture(scope="session")
def made_token(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SealedSeed]:
    directory = tmp_path_factory.mktemp("token")
    config = PATIENT.resolved(directory)
    (directory / "hsm").mkdir()
    (directory / "secrets").mkdir()
    new_configuration(Path(config.softhsm_config))

    async def make() -> SealedSeed:
        async with open_token(config, command=COMMAND, files={}, report=lambda _: None, create=True) as token:
            return (await token.call(MAKE_KEYS, Nothing(), deadline_seconds=60)).sealed

    return directory, trio.run(make)


@pytest.fixture
def directory(made_token: tuple[Path, SealedSeed], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_token[0], tmp_path / "directory"))


@pytest.fixture(scope="session")
def made_three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Keys]]:
    """Three tokens in one directory, and the keys of each."""
    directory = tmp_path_factory.mktemp("three")
    config = THREE.resolved(directory)
    (directory / "secrets").mkdir()
    for node in config.all_nodes.values():
        Path(node.softhsm_config).parent.mkdir(parents=True)
        new_configuration(Path(node.softhsm_config))

    async def make(name: str) -> Keys:
        alone = config.alone(name)
        async with open_token(alone, command=COMMAND, files={}, report=lambda _: None, create=True) as token:
            return await token.call(MAKE_KEYS, Nothing(), deadline_seconds=60)

    return directory, {name: trio.run(make, name) for name in config.all_nodes}


@pytest.fixture
def three(made_three: tuple[Path, dict[str, Keys]], tmp_path: Path) -> Path:
    """A copy of the directory with three tokens."""
    return Path(shutil.copytree(made_three[0], tmp_path / "three"))


@pytest.fixture
def sealed(made_token: tuple[Path, SealedSeed]) -> SealedSeed:
    return made_token[1]


class PoolEvents(list[tuple[str, TokenEvent]]):
    """What the nodes of a pool told, each with its name; tells whoever waits for more."""

    def __init__(self) -> None:
        super().__init__()
        self._more = trio.Event()

    def take(self, node: str, event: TokenEvent) -> None:
        self.append((node, event))
        self._more.set()
        self._more = trio.Event()

    def of(self, node: str) -> list[TokenEvent]:
        return [event for name, event in self if name == node]

    async def until(self, node: str, kind: type[TokenEvent], count: int = 1) -> None:
        """Wait until a node has told so many of a kind."""
        while sum(isinstance(event, kind) for event in self.of(node)) < count:
            await self._more.wait()

    async def ups(self, node: str, count: int) -> int:
        """Wait until a node has come up so often; give its process."""
        await self.until(node, TokenUp, count)
        return pid_of(self.of(node))


@pytest.fixture
def pool_events() -> PoolEvents:
    return PoolEvents()


OpenPool = Callable[..., AbstractAsyncContextManager[Cluster]]


@pytest.fixture
def opened_pool(three: Path, pool_events: PoolEvents) -> OpenPool:
    """Open tokens of `three`, all or those named, with changes to their configuration; all are up."""

    @asynccontextmanager
    async def opened(names: str = "abc", *, wait: bool = True, **changes: Any) -> AsyncGenerator[Cluster]:
        nodes = {name: THREE.nodes[name] for name in names}
        config = msgspec.structs.replace(THREE, **{"nodes": nodes} | changes).resolved(three)
        async with open_pool(config, command=COMMAND, files=lambda _: {}, report=pool_events.take) as pool:
            if wait:
                for name in names:
                    await pool_events.ups(name, 1)
            yield pool

    return opened


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
