"""The compiled peer of Go, and a proxy with short epochs for it to call."""

import hashlib
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from loadtest.peers.servers.processes import free_port
from tests.identity.clients.jwts import write_key_set
from tests.interop.voice.peers import TOKEN, Callee, Callers
from tests.running import ROOMY, copy_directory, make_directory, running_proxy

SOURCES = Path(__file__).with_name("peer")


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the compiled peer.  Without a network: it uses the standard library alone."""
    folder = tmp_path_factory.mktemp("peer")
    offline = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "GO111MODULE": "off"}
    program = str(folder / "peer")
    sources = sorted(map(str, SOURCES.glob("*.go")))
    subprocess.run(["go", "build", "-o", program, *sources], check=True, cwd=folder, env={**os.environ, **offline})
    return program


@pytest.fixture(scope="session")
def made_by_init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="session")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Callers:
    """Keys as `sottovoce clients keygen` makes them, and a certificate of a CA for clients."""
    return Callers.made_in(tmp_path_factory.mktemp("callers"))


@pytest.fixture(scope="session")
def proxy(made_by_init: Path, callers: Callers) -> Generator[Callee]:
    """`sottovoce serve`, whose epochs last two seconds and whose keys sixteen records.

    It knows one token, all keys but the stranger's, and the CA.
    """
    port = free_port()
    sets = (*write_clients(made_by_init, callers, port), "voice.epoch_seconds=2", "voice.messages_per_key=16", ROOMY)
    with running_proxy(made_by_init, *sets) as running:
        yield Callee(running, made_by_init)


@pytest.fixture
def unbound(made_by_init: Path, callers: Callers, tmp_path: Path) -> Generator[Callee]:
    """Give a proxy that takes calls without a binding, with a directory of its own, and JWTs."""
    directory = copy_directory(made_by_init, tmp_path)
    sets = (*write_clients(directory, callers, free_port()), "voice.require_binding=false")
    with running_proxy(directory, *sets, f"clients.jwks_file={write_key_set(directory)}") as running:
        yield Callee(running, directory)


def write_clients(directory: Path, callers: Callers, port: int) -> tuple[str, ...]:
    """Say who may call there; give the settings."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    entries = [f'[[client]]\nname = "go"\ntoken_sha256 = "{digest}"\naudience = ["localhost:{port}"]\n']
    entries += [f'[[client]]\nname = "{name}"\npublic_key = "{key}"\n' for name, key in callers.known()]
    (directory / "clients.toml").write_text("\n".join(entries))
    return (
        f"listener.address=127.0.0.1:{port}",
        "clients.file=clients.toml",
        f"clients.ca_file={callers.ca}",
        "routes.echo.adapter=echo",
        "routes.other.adapter=echo",
    )
