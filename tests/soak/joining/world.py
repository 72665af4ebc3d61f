"""A real proxy and what stands behind it: a backend that is well, and one that is killed and started again."""

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import trio

from loadtest.peers.servers.processes import free_port
from loadtest.replay.processes.started import echo_backend
from sottovoce.client import Trust, trust_from_directory
from tests.running import ROOT, RunningProxy, running_proxy, sottovoce

HANDSHAKE_SECONDS = 5.0
_AWAY_SECONDS = 1.0
"""How long a backend that was killed stays away."""
_MEMBER = "member-1"


class Flaky:
    """An echo backend on one port for ever; killed at the end of the block."""

    def __init__(self) -> None:
        self.url = f"ws://127.0.0.1:{free_port()}/"
        self._process = self._start()

    async def restart(self) -> None:
        self.kill()
        await trio.sleep(_AWAY_SECONDS)
        self._process = self._start()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _start(self) -> "subprocess.Popen[bytes]":
        port = self.url.strip("/").rpartition(":")[2]
        return subprocess.Popen(
            [sys.executable, "-m", "loadtest.replay.processes.echo_backend", "--port", port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class World:
    """What a crowd calls."""

    def __init__(self, proxy: RunningProxy, trust: Trust, token: Path, flaky: Flaky) -> None:
        self.proxy = proxy
        self.trust = trust
        self.token = token
        """A file with a member's token."""
        self._flaky = flaky

    def reload(self) -> None:
        self.proxy.process.send_signal(signal.SIGHUP)

    async def restart_backend(self) -> None:
        await self._flaky.restart()


@contextmanager
def world(directory: Path, *, epoch_seconds: int) -> Generator[World]:
    """Run it while the block runs."""
    with echo_backend() as well, Flaky() as flaky:
        urls = {"well": well.url, "members": well.url, "flaky": flaky.url}
        routes = [f"routes.{name}.{key}" for name, url in urls.items() for key in ("adapter=raw", f"url={url}")]
        with running_proxy(
            directory,
            *routes,
            f'routes.members.identities=["{_MEMBER}"]',
            "routes.flaky.connect_attempts=2",
            f"voice.epoch_seconds={epoch_seconds}",
            "voice.messages_per_key=16",
            "voice.write_stall_seconds=2",
            f"listener.handshake_seconds={HANDSHAKE_SECONDS}",
            "identity.leaf_hours=1",
        ) as proxy:
            token = directory.with_name("member.token")
            words = ("--token", "--audience", f"localhost:{proxy.port}", "--out", token)
            done = sottovoce("clients", "add", directory, _MEMBER, *words)
            assert done.returncode == 0, done.stderr
            _wait_until_known(proxy)
            yield World(proxy, trust_from_directory(directory), token, flaky)


def _wait_until_known(proxy: RunningProxy) -> None:
    """The proxy looks at its clients' file several times a second."""
    for _ in range(100):
        if proxy.events("clients.loaded"):
            return
        time.sleep(0.1)
    raise AssertionError("the proxy does not see its clients")
