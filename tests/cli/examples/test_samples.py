"""Each sample of `sottovoce example`, run as it is printed, against a real proxy."""

import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sottovoce.client import Audio, Codec
from sottovoce.client.sync import connect
from tests.running import START_SECONDS, RunningProxy, environment, make_directory, running_proxy, sottovoce

pytestmark = pytest.mark.interop(tool="softhsm2-util")
PIPECAT = str(Path(sys.prefix) / "pipecat/bin/python")
BOTS = {
    **dict.fromkeys(("raw-asyncio", "raw-trio", "raw-websockets", "pipecat"), "ws"),
    "twilio": "twilio+ws",
    "mux": "mux+tcp",
}
CLIENTS = ["client", "client-asyncio", "client-sync", "calls"]
_FRAMES = 25


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """A free port for each bot."""
    servers = {name: socket.create_server(("127.0.0.1", 0)) for name in BOTS}
    found = {name: server.getsockname()[1] for name, server in servers.items()}
    for server in servers.values():
        server.close()
    return found


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Generator[RunningProxy]:
    routes = [("--route", f"{name}={adapter}://127.0.0.1:{ports[name]}") for name, adapter in BOTS.items()]
    words = [word for route in routes for word in route]
    directory = make_directory(tmp_path_factory.mktemp("samples"), *words)
    with running_proxy(directory) as proxy:
        yield proxy


def printed(name: str, place: Path) -> Path:
    """Print a sample into a file."""
    program = place / "sample.py"
    program.write_text(sottovoce("example", name).stdout)
    return program


@contextmanager
def bot(name: str, port: int, place: Path, python: str = sys.executable) -> Generator[None]:
    """Run a bot until the block ends."""
    log = place / "bot.log"
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [python, "-u", printed(name, place), str(port)], cwd=place, env=environment(), stdout=said, stderr=said
        ) as process,
    ):
        try:
            wait_for(port, process)
            assert process.pid in listeners(port), "somebody else listens there"
            yield
            assert process.poll() is None, log.read_text()
            assert "Traceback" not in log.read_text()
        finally:
            process.kill()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody listens there."""
    for _ in range(int(START_SECONDS * 20)):
        with socket.socket() as peer:
            if peer.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError("the bot did not begin to listen")


def listeners(port: int) -> set[int]:
    """Give the processes that listen there, so that nobody else's answers are taken for the bot's."""
    with Path("/proc/net/tcp").open() as table:
        rows = [line.split() for line in table][1:]
    inodes = {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    found: set[int] = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue  # it has ended, or is another user's
        if target.removeprefix("socket:[").removesuffix("]") in inodes:
            found.add(int(link.parts[2]))
    return found


def is_echoed(proxy: RunningProxy, route: str, codec: Codec) -> bool:
    """Say something to a route; whether it came back, perhaps between pieces of silence."""
    certs = proxy.directory / "certs"
    frames = [bytes([number + 1]) * codec.frame_bytes(20) for number in range(_FRAMES)]
    with connect(f"{proxy.url}/{route}", anchor=certs / "anchor.json", ca=certs / "ca.pem", codec=codec) as call:
        for frame in frames:
            call.send(frame)
        heard: list[bytes] = []
        while len(heard) < _FRAMES:
            match call.receive(timeout=20):
                case Audio(payload=payload) if any(payload):
                    heard.append(payload)
                case _:
                    pass
    return heard == frames


@pytest.mark.parametrize("name", ["raw-asyncio", "raw-trio", "raw-websockets", "twilio", "mux"])
def test_a_bot_answers(name: str, proxy: RunningProxy, ports: dict[str, int], tmp_path: Path) -> None:
    with bot(name, ports[name], tmp_path):
        for _ in range(2):
            assert is_echoed(proxy, name, Codec.PCMU_8K)


@pytest.mark.interop(tool=PIPECAT)
def test_the_pipecat_bot_answers(proxy: RunningProxy, ports: dict[str, int], tmp_path: Path) -> None:
    with bot("pipecat", ports["pipecat"], tmp_path, PIPECAT):
        for _ in range(2):
            assert is_echoed(proxy, "pipecat", Codec.PCM16_16K)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_calls(name: str, proxy: RunningProxy, tmp_path: Path) -> None:
    program = printed(name, tmp_path)
    done = subprocess.run(
        [sys.executable, program, f"{proxy.url}/echo", proxy.directory],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "frames_received=50" in done.stdout


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_is_told_the_url_alone_takes_the_usual_directory(
    name: str, proxy: RunningProxy, tmp_path: Path
) -> None:
    (tmp_path / "voice").symlink_to(proxy.directory)
    words = [sys.executable, str(printed(name, tmp_path)), f"{proxy.url}/echo"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_blocking_client_says_in_one_line_why_there_is_no_call(proxy: RunningProxy, tmp_path: Path) -> None:
    words = [sys.executable, str(printed("client-sync", tmp_path)), f"{proxy.url}/none", str(proxy.directory)]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert ";" in done.stderr, "and what to do"


def test_the_bot_that_was_started_is_the_one_that_is_called(
    proxy: RunningProxy, ports: dict[str, int], tmp_path: Path
) -> None:
    with bot("raw-asyncio", ports["raw-asyncio"], tmp_path):
        assert is_echoed(proxy, "raw-asyncio", Codec.PCM16_16K)
        session = proxy.events("session.established")[-1]["session"]
        lines: list[str] = []
        for _ in range(1_000):
            lines = (tmp_path / "bot.log").read_text().splitlines()
            if len(lines) == 3:
                break
            time.sleep(0.05)  # another process writes the file: there is nothing to wait on
    assert lines[0] == f"waiting on ws://127.0.0.1:{ports['raw-asyncio']}"
    assert lines[1] == f"{session} pcm16"
    assert lines[2].startswith("Ended(code=1000, reason='normal', truncated=False")


def test_a_port_that_somebody_has_is_not_taken_for_the_bots(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AssertionError, match="somebody else listens there"), bot("raw-asyncio", port, tmp_path):
            pass
