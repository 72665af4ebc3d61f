"""The peer of Go as a client and as a server, each a process of its own, which says what it saw in lines of JSON."""

import json
import subprocess
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from sottovoce.client import Audio, Call, CallError, Ended, EndedWithCode, connect
from sottovoce.pki import ClientKeyAlgorithm, format_public_key, new_private_key
from tests.running import RunningProxy
from tests.transport.certificates import HOST, Authority, authority

TOKEN = "a-token-for-tests-only-0123456789abcdef"
PATIENCE = 60.0
"""For what takes no time at all on a machine with nothing else to do."""
ALGORITHMS: dict[ClientKeyAlgorithm, int] = {"ed25519": 0x0807, "ecdsa_secp384r1_sha384": 0x0503, "mldsa65": 0x0905}
STRANGER = "stranger"


class Callers(msgspec.Struct, frozen=True):
    """Clients' own credentials, in files that Go and we read."""

    folder: Path
    public: dict[str, str]
    """As `sottovoce clients keygen` prints them, by algorithm; the stranger's key is nobody's."""

    @classmethod
    def made_in(cls, folder: Path) -> "Callers":
        public: dict[str, str] = {}
        for name in (*ALGORITHMS, STRANGER):
            private, key = new_private_key("ed25519" if name == STRANGER else name)
            file = folder / f"{name}.key"
            file.touch(0o600)
            file.write_bytes(private)
            public[name] = format_public_key(key)
        ca = Authority("clients")
        (folder / "ca.pem").write_bytes(ca.pem)
        identity = ca.issue("kiosk.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        (folder / "kiosk.pem").write_bytes(identity.certificate.public_bytes(Encoding.PEM))
        key = folder / "kiosk.key"
        key.write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key.chmod(0o600)
        return cls(folder, public)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def key(self, name: str) -> str:
        return str(self.folder / f"{name}.key")

    @property
    def certificate(self) -> tuple[str, str]:
        return str(self.folder / "kiosk.pem"), self.key("kiosk")

    def known(self) -> list[tuple[str, str]]:
        return [(name, line) for name, line in self.public.items() if name != STRANGER]

    @property
    def encoded(self) -> str:
        """The known keys as Go takes them: `alg u16 || key`, in hexadecimal."""
        keys = ((number, b64decode(self.public[name].partition(":")[2])) for name, number in ALGORITHMS.items())
        return ",".join(f"{number:04x}{key.hex()}" for number, key in keys)


class Callee(msgspec.Struct, frozen=True):
    """A running proxy, and where its clients find whom to trust."""

    running: RunningProxy
    directory: Path

    async def call(self, peer: str, *options: str, anchor: Path | None = None, route: str = "echo") -> Any:
        """Have Go call a route; give what it says at its end, a list of it for calls `-together`."""
        certificates = self.directory / "certs"
        trust = ("-ca", str(certificates / "ca.pem"), "-anchor", str(anchor or certificates / "anchor.json"))
        url = f"{self.running.url}/v1/voice/{route}"
        done = await trio.run_process(
            [peer, "client", "-url", url, *trust, *options], capture_stdout=True, capture_stderr=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class GoServer:
    """A running server of Go, which says a line when it listens and one at the end of each connection."""

    def __init__(self, process: trio.Process, folder: Path) -> None:
        self.process = process
        self.anchor = folder / "anchor.json"
        self.port = 0
        self._said = b""

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        with trio.fail_after(PATIENCE):
            while b"\n" not in self._said:
                data = await self.process.stdout.receive_some()
                assert data, "it has ended"
                self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return json.loads(line)

    @asynccontextmanager
    async def calling(self, route: str = "echo", **options: Any) -> AsyncGenerator[Call]:
        """Call it with our client."""
        trust = {"anchor": self.anchor, "ca": authority().pem} | options
        async with connect(f"wss://{HOST}:{self.port}/{route}", **trust) as call:
            yield call

    async def refusal(self, route: str = "echo", **options: Any) -> tuple[EndedWithCode, dict[str, Any]]:
        """Call where no session comes about: what our client raises, and what the server saw."""
        try:
            async with self.calling(route, **options):
                raise AssertionError("there is a session")
        except EndedWithCode as error:
            return error, await self.line()

    async def fate(self, route: str = "echo", **options: Any) -> tuple[Ended, dict[str, Any]]:
        """Call a route and speak until it ends: how it did for our client, and what the server saw.

        Our client has a call once its last message is out; a server that refuses may be heard before its user runs.
        """
        try:
            async with self.calling(route, **options) as call:
                with suppress(CallError), trio.fail_after(PATIENCE):
                    for number in range(8):
                        await call.send(bytes([number]) * 640)
                    async for _ in call:
                        pass
                assert call.ended is not None
                return call.ended, await self.line()
        except EndedWithCode as error:
            ended = Ended(error.code or 0, str(error), truncated=not error.is_proven, local=error.local)
            return ended, await self.line()


@asynccontextmanager
async def go_server(peer: str, folder: Path, *options: str) -> AsyncGenerator[GoServer]:
    """Run a server with a certificate of the test CA and an anchor of its own."""
    identity = authority().issue(HOST)
    certificate, key = folder / "leaf.pem", folder / "leaf.key"
    certificate.write_bytes(identity.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files = ("-cert", str(certificate), "-key", str(key), "-anchor", str(folder / "anchor.json"))
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, [peer, "server", *files, *options], stdout=subprocess.PIPE, check=False)
        )
        assert process.stdout is not None
        async with process.stdout:
            server = GoServer(process, folder)
            server.port = (await server.line())["port"]
            yield server
            nursery.cancel_scope.cancel()


async def echoed(call: Call, frames: list[bytes], pace_seconds: float) -> list[bytes]:
    """Send frames at a steady pace, give what comes back until all have or the last has, hang up in good order."""
    is_last_told = frames.count(frames[-1]) == 1
    back: list[bytes] = []

    async def hear() -> None:
        async for item in call:
            if isinstance(item, Audio):
                back.append(item.payload)
                if len(back) == len(frames) or (is_last_told and item.payload == frames[-1]):
                    break

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            start = trio.current_time()
            for number, frame in enumerate(frames):
                await trio.sleep_until(start + number * pace_seconds)
                await call.send(frame)
    await call.close()
    return back


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    with trio.fail_after(PATIENCE):
        while not is_so():  # noqa: ASYNC110  a log file has no event to wait on
            await trio.sleep(0.02)
