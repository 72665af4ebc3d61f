"""Tokens of two vendors, each with its own keys, made once; each test works on a copy."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from sottovoce.hsm import Cluster, HsmConfig, NodeConfig, SealedSeed, TokenEvent, new_configuration, open_pool
from tests.hsm.operations import nss
from tests.hsm.operations.key_child import MAKE_OWN_KEYS, MakeOwnKeys

COMMAND = (sys.executable, str(Path(__file__).with_name("key_child.py")))
SOFTHSM, NSS = "softhsm", "nss"
DEADLINE = 60.0
PATIENT = HsmConfig(deadline_seconds=20, hang_grace_seconds=20, start_seconds=60)
"""For tests that do not look at hangs: a busy machine is no fault."""
VENDORS = (
    SOFTHSM,
    pytest.param(NSS, marks=pytest.mark.interop(tool=nss.SOFTOKN)),
)


def node_of(vendor: str, directory: Path) -> NodeConfig:
    """The configuration of a token in a directory."""
    node = NodeConfig(
        pin_file=str(directory / "pin"), keys=str(directory), issuing=str(directory / "issuing.pem"), token="operations"
    )
    if vendor == NSS:
        return msgspec.structs.replace(
            node,
            module=nss.SOFTOKN,
            module_arguments=nss.arguments(str(directory)),
            token=nss.LABEL,
            softhsm_config="",
        )
    return msgspec.structs.replace(node, softhsm_config=str(directory / "softhsm2.conf"))


def make_token(vendor: str, directory: Path) -> SealedSeed:
    """Make a token with its own keys; gives a seed that it sealed."""
    directory.mkdir()
    if vendor == NSS:
        pin = os.urandom(16).hex()
        descriptor = os.open(directory / "pin", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, pin.encode())
        os.close(descriptor)
        subprocess.run([sys.executable, nss.__file__, str(directory), pin], check=True)
    else:
        new_configuration(directory / "softhsm2.conf")
    config = msgspec.structs.replace(PATIENT, nodes={vendor: node_of(vendor, directory)})

    async def make() -> SealedSeed:
        async with open_pool(config, command=COMMAND, files=lambda _: {}, report=lambda *_: None, create=True) as token:
            return (await token.call(MAKE_OWN_KEYS, MakeOwnKeys(), deadline_seconds=DEADLINE)).sealed

    with ThreadPoolExecutor(max_workers=1) as thread:  # a test's own loop may be running in this one
        return thread.submit(trio.run, make).result()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, SealedSeed]]:
    """Give a directory with a token of a vendor, not to be changed, and a seed that it sealed."""
    there: dict[str, tuple[Path, SealedSeed]] = {}

    def give(vendor: str) -> tuple[Path, SealedSeed]:
        if vendor not in there:
            directory = tmp_path_factory.mktemp(vendor) / "token"
            there[vendor] = (directory, make_token(vendor, directory))
        return there[vendor]

    return give


@pytest.fixture
def events() -> list[tuple[str, TokenEvent]]:
    return []


OpenTokens = Callable[..., AbstractAsyncContextManager[Cluster]]


@pytest.fixture
def opened(
    made: Callable[[str], tuple[Path, SealedSeed]], tmp_path: Path, events: list[tuple[str, TokenEvent]]
) -> OpenTokens:
    """Open tokens of these vendors as one pool, under the names a, b, c …; opened again, they are the same ones."""

    @asynccontextmanager
    async def opened(*vendors: str, **changes: object) -> AsyncGenerator[Cluster]:
        nodes = {}
        for name, vendor in zip("abcdefgh", vendors, strict=False):
            directory = tmp_path / name
            if not directory.exists():
                shutil.copytree(made(vendor)[0], directory)
            nodes[name] = node_of(vendor, directory)
        config = msgspec.structs.replace(PATIENT, nodes=nodes, **changes)
        async with open_pool(
            config, command=COMMAND, files=lambda _: {}, report=lambda *told: events.append(told)
        ) as pool:
            yield pool

    return opened
