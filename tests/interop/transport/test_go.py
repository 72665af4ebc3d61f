"""Go's crypto/tls at the other end, in both roles: a stack of its own, with ML-KEM of its own.  Needs Go 1.25."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.transport import PqPolicy, TlsError, TlsReason, TlsStream, client_context
from tests.interop.transport.listening import ANSWER, Met, listening, run
from tests.transport.certificates import HOST, authority

pytestmark = pytest.mark.interop(tool="go")

SOURCE = Path(__file__).with_name("peer.go")
HYBRID, CLASSICAL = "X25519MLKEM768", "X25519"


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the compiled peer.  Without a network: it uses the standard library alone."""
    folder = tmp_path_factory.mktemp("go")
    offline = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "GO111MODULE": "off"}
    program = str(folder / "peer")
    subprocess.run(["go", "build", "-o", program, str(SOURCE)], check=True, cwd=folder, env={**os.environ, **offline})
    return program


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority().pem)
    return str(path)


@pytest.mark.parametrize("policy", [PqPolicy.REQUIRE, PqPolicy.PREFER])
async def test_a_client_of_go_agrees_on_the_hybrid(peer: str, ca_file: str, policy: PqPolicy) -> None:
    async with listening(policy) as server:
        status, said = await run([peer, "client", f"127.0.0.1:{server.port}", ca_file])
        assert status == 0, said
        [core] = server.met
        assert isinstance(core, Met)
        assert (core.group, core.server_name) == (HYBRID, HOST)
        assert json.loads(said) == {
            "error": "",
            "version": "TLS 1.3",
            "group": HYBRID,
            "cipher": core.cipher,
            "protocol": "http/1.1",
            "exporter": core.exporter.hex(),
            "heard": ANSWER.decode(),
        }


async def test_a_classical_client_of_go_is_served_under_prefer_and_off(peer: str, ca_file: str) -> None:
    for policy in (PqPolicy.PREFER, PqPolicy.OFF):
        async with listening(policy) as server:
            status, said = await run([peer, "client", f"127.0.0.1:{server.port}", ca_file, "classical"])
            assert status == 0, said
            assert json.loads(said)["group"] == CLASSICAL


async def test_a_classical_client_of_go_is_refused_under_require(peer: str, ca_file: str) -> None:
    async with listening(PqPolicy.REQUIRE) as server:
        status, said = await run([peer, "client", f"127.0.0.1:{server.port}", ca_file, "classical"])
        assert status == 1
        assert "handshake failure" in json.loads(said)["error"]
        [refused] = server.met
        assert isinstance(refused, TlsError)
        assert refused.reason is TlsReason.NO_COMMON_GROUP


class GoServer:
    """A running server of Go, which says a line when it listens and one when it is done."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._said = b""

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\n" not in self._said:
            data = await self._process.stdout.receive_some()
            assert data, "it has ended"
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return json.loads(line)


@asynccontextmanager
async def go_server(peer: str, *options: str) -> AsyncIterator[GoServer]:
    async with trio.open_nursery() as nursery:
        command = [peer, "server", *options]
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        )
        assert process.stdout is not None
        async with process.stdout:
            yield GoServer(process)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("policy", "options", "group"),
    [
        (PqPolicy.REQUIRE, [], HYBRID),
        (PqPolicy.PREFER, [], HYBRID),
        (PqPolicy.PREFER, ["classical"], CLASSICAL),
        (PqPolicy.OFF, [], CLASSICAL),
    ],
)
async def test_our_client_and_a_server_of_go(peer: str, policy: PqPolicy, options: list[str], group: str) -> None:
    async with go_server(peer, *options) as server:
        listens = await server.line()
        context = client_context(HOST, pq=policy, ca_pem=listens["ca"].encode())
        async with TlsStream(await trio.open_tcp_stream("127.0.0.1", listens["port"]), context) as stream:
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            assert await stream.receive_some() == b""  # Go's close_notify
            core = Met.of(stream.core)
            assert (core.group, core.version, core.alpn) == (group, "TLSv1.3", "http/1.1")
        told = await server.line()
        assert (told["group"], told["exporter"], told["heard"]) == (group, core.exporter.hex(), "hello")


async def test_our_client_wants_the_hybrid_from_a_classical_server_of_go(peer: str) -> None:
    async with go_server(peer, "classical") as server:
        listens = await server.line()
        context = client_context(HOST, pq=PqPolicy.REQUIRE, ca_pem=listens["ca"].encode())
        async with TlsStream(await trio.open_tcp_stream("127.0.0.1", listens["port"]), context) as stream:
            with pytest.raises(TlsError) as caught:
                await stream.do_handshake()
        assert (caught.value.reason, caught.value.alert) == (TlsReason.ALERT, 40)
