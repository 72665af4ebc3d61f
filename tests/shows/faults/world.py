"""Where faults are planted: directories to spoil, proxies that run, backends that are no good, and how one asks."""

import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.running import ROOT, RunningProxy, copy_directory, environment, running_proxy, sottovoce

PATIENCE_SECONDS = 60.0
QUIET = '[listener]\naddress = "127.0.0.1:0"\n\n[admin]\naddress = "127.0.0.1:0"\n'
"""A configuration that wants no port of this machine."""
BAD_BACKENDS = ("deaf", "refusing", "nonsense", "garbage", "closing", "mute")
_DROP_FROM_BOUNDING_SET = 24  # prctl(2)
_OVERRIDE, _READ_SEARCH, _BIND = 1, 2, 10  # capabilities(7)


class Answer(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What a person is told, log events aside."""
        return [line for line in self.err.splitlines() if line.strip() and not line.startswith("{")]

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output.  Anything more fails the test."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


class Asked(NamedTuple):
    """A command of ours; `module` runs it, after `before` has run in its process."""

    words: tuple[str | Path, ...]
    before: Callable[[], object] | None = None
    module: str = "sottovoce"
    env: tuple[tuple[str, str], ...] = ()
    within: tuple[str, ...] = ()
    """What is put before the command."""

    def ask(self, *more: str) -> Answer:
        words = [*self.within, sys.executable, "-m", self.module, *map(str, self.words), *more]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment(**dict(self.env)),
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            preexec_fn=self.before,
        )
        return Answer(done.returncode, done.stdout, done.stderr)


def asked(*words: str | Path, **how: Any) -> Asked:
    """Give a command."""
    return Asked(words, **how)


class World:
    """What one fault is planted into; whatever it starts ends with `stack`."""

    def __init__(self, made: Path, tmp: Path, stack: ExitStack, shared: Callable[[str], Any]) -> None:
        """`made` is copied; `shared` gives what is made once for all: proxies and directories."""
        self.tmp = tmp
        self.stack = stack
        self.made = made
        self._shared = shared
        self._directory: Path | None = None

    @property
    def directory(self) -> Path:
        """A directory of `init`, for this fault to spoil; it wants no port of this machine."""
        if self._directory is None:
            self._directory = copy_directory(self.made, self.tmp)
            (self._directory / "sottovoce.toml").write_text(QUIET)
        return self._directory

    @property
    def other(self) -> Path:
        """Somebody else's directory.  Look, do not touch."""
        return self._shared("other")

    @property
    def proxy(self) -> RunningProxy:
        """A proxy that is well, with a route to each bad backend.  Call, do not touch."""
        return self._shared("proxy")

    @property
    def guarded(self) -> RunningProxy:
        """One that wants to know who calls: `well.token`, `expired.token`, `elsewhere.token`, `revoked.token`."""
        return self._shared("guarded")

    def aged(self, days: int) -> Path:
        """A directory that was made so many days ago, for this fault to spoil."""
        found = copy_directory(self._shared("shifted")(days), self.tmp, name="aged")
        (found / "sottovoce.toml").write_text(QUIET)
        return found

    def configure(self, text: str) -> Path:
        """Add to the configuration; give the directory."""
        (self.directory / "sottovoce.toml").write_text(f"{QUIET}\n{text}\n")
        return self.directory

    def calls(self, route: str = "echo", *words: str | Path) -> Asked:
        """A call to the proxy that is well, trusting it."""
        trust = () if "--dir" in words or "--anchor" in words else ("--dir", self.proxy.directory)
        return asked("call", f"{self.proxy.url}/{route}", "--tone", *trust, *words)

    def calls_guarded(self, *words: str | Path) -> Asked:
        """A call to the one that wants to know who calls."""
        return asked("call", f"{self.guarded.url}/echo", "--tone", "--dir", self.guarded.directory, *words)


def listening() -> tuple[socket.socket, int]:
    """A socket that listens, and its port."""
    bound = socket.create_server(("127.0.0.1", 0))
    return bound, bound.getsockname()[1]


@contextmanager
def a_listening_process() -> Generator[tuple[int, int]]:
    """Give the pid and the port of another process that listens."""
    program = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def without_privileges() -> None:
    """Be nobody special: what root may beyond others is lost at the next exec."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_OVERRIDE, _READ_SEARCH, _BIND):
        if libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "a capability cannot be dropped")


def with_few_descriptors() -> None:
    """Have room for no more than standard streams and a little."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def with_little_room() -> None:
    """No file may become larger than a kilobyte."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


@contextmanager
def bad_backends() -> Generator[dict[str, str]]:
    """Give the URL of each kind of backend that is no good."""
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        for name, answer in (
            ("deaf", b""),
            ("refusing", b"HTTP/1.1 403 Forbidden\r\n\r\n"),
            ("nonsense", b"hello\n\n"),
        ):
            bound, port = listening()
            stack.enter_context(bound)
            threading.Thread(target=_answer, args=(bound, answer), daemon=True).start()
            urls[name] = f"ws://127.0.0.1:{port}/"
        for name, handle in (("garbage", _speak_garbage), ("closing", _close), ("mute", _swallow)):
            server = stack.enter_context(serve(handle, "127.0.0.1", 0))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            urls[name] = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        yield urls


def _answer(bound: socket.socket, answer: bytes) -> None:
    held: list[socket.socket] = []
    while True:
        try:
            connection, _ = bound.accept()
        except OSError:
            return
        held.append(connection)
        if answer:
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()


def _speak_garbage(connection: ServerConnection) -> None:
    connection.recv()
    connection.send("{ this is no message")
    _swallow(connection)


def _close(connection: ServerConnection) -> None:
    connection.recv()
    connection.close(1011)


def _swallow(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for _ in connection:
            pass


@contextmanager
def a_proxy_with_bad_backends(directory: Path) -> Generator[RunningProxy]:
    """Run it: a route for each of them, and `down`, where nobody listens."""
    bound, port = listening()
    bound.close()
    with bad_backends() as urls:
        named = urls | {"down": f"ws://127.0.0.1:{port}/"}
        sets = [f"routes.{name}.{key}" for name, url in named.items() for key in ("adapter=raw", f"url={url}")]
        quick = [f"routes.{name}.connect_attempts=1" for name in named]
        with running_proxy(directory, *sets, *quick) as proxy:
            yield proxy


@contextmanager
def a_guarded_proxy(directory: Path) -> Generator[RunningProxy]:
    """Run one that lets in only whom it knows."""
    bound, port = listening()
    bound.close()
    here, elsewhere = f"localhost:{port}", "voice.example.com"
    for name, audience, more in (
        *(("well", here, ()), ("expired", here, ("--expires", "2020-01-01"))),
        *(("elsewhere", elsewhere, ()), ("revoked", here, ())),
    ):
        out = directory / f"{name}.token"
        done = sottovoce("clients", "add", directory, name, "--token", "--audience", audience, "--out", out, *more)
        assert done.returncode == 0, done.stderr
    done = sottovoce("clients", "revoke", directory, "revoked")
    assert done.returncode == 0, done.stderr
    sets = ("clients.require_credential=true", "clients.file=clients.toml", f"listener.address=127.0.0.1:{port}")
    with running_proxy(directory, *sets) as proxy:
        yield proxy
