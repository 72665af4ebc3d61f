"""A proxy looked at from the side of its clients: a real one, and servers that are something else."""

import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import pytest
import trio

from sottovoce.app.doctor import Finding, Report, State
from sottovoce.app.doctor.remote import Trusted, examine_remote, remote_of, voice
from sottovoce.app.doctor.remote.carriage import Seen, _offset, clock_findings, look_up
from sottovoce.client import CallMisconfigured
from sottovoce.transport import ServerWebSocket, UpgradeRequest
from tests.running import RunningProxy, copy_directory, make_directory, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    directory = make_directory(tmp_path_factory.mktemp("remote"))
    silent = ("routes.silent.adapter=raw", "routes.silent.url=ws://127.0.0.1:1/", "routes.silent.connect_attempts=1")
    with running_proxy(directory, "routes.echo.adapter=echo", *silent, "admin.address=127.0.0.1:0") as running:
        yield running


async def examined(url: str, **trusted: Path) -> Report:
    return await examine_remote(remote_of(url, Trusted(**trusted)))


def named(report: Report, name: str) -> Finding:
    (finding,) = [each for each in report.findings if each.name == name]
    return finding


async def test_a_proxy_that_is_well(proxy: RunningProxy) -> None:
    report = await examined(f"{proxy.url}/echo", directory=proxy.directory)
    assert [each for each in report.findings if each.state is not State.OK] == []
    assert [each.name for each in report.findings] == [
        *("name", "tcp", "tls", "certificate", "upgrade", "clock", "voice", "backend")
    ]
    assert "TLSv1.3, X25519MLKEM768" in named(report, "tls").what
    assert "signed by ECDSA_P384 + MLDSA65" in named(report, "voice").what
    assert "50 frames came back for 50" in named(report, "backend").what


async def test_a_route_that_is_not_there(proxy: RunningProxy) -> None:
    report = await examined(f"{proxy.url}/none", directory=proxy.directory)
    assert report.failed == 1
    assert report.findings[0].name == "upgrade"
    assert "HTTP status 404" in report.findings[0].what
    assert report.findings[0].remedy == "there is no such route: check the path of the URL"
    assert named(report, "voice").waits_for == "upgrade"


async def test_a_backend_that_is_down(proxy: RunningProxy) -> None:
    report = await examined(f"{proxy.url}/silent", directory=proxy.directory)
    assert report.failed == 1
    assert report.findings[0].name == "backend"
    assert "backend_down" in report.findings[0].what


async def test_a_ca_that_is_not_known(proxy: RunningProxy) -> None:
    report = await examined(f"{proxy.url}/echo", anchor=proxy.directory / "certs/anchor.json")
    assert report.failed == 1
    assert report.findings[0].name == "certificate"
    assert "unknown ca" in report.findings[0].what
    assert named(report, "upgrade").state is State.WAITS


async def test_an_anchor_of_another_proxy(proxy: RunningProxy, tmp_path: Path) -> None:
    other = make_directory(tmp_path)
    anchor, ca = other / "certs/anchor.json", proxy.directory / "certs/ca.pem"
    report = await examined(f"{proxy.url}/echo", anchor=anchor, ca=ca)
    assert report.failed == 1
    assert report.findings[0].name == "voice"
    assert "which is not in the anchor file" in report.findings[0].what
    assert "anchor.json" in report.findings[0].remedy


async def test_without_an_anchor_the_rest_is_looked_at(proxy: RunningProxy) -> None:
    report = await examined(f"{proxy.url}/echo", ca=proxy.directory / "certs/ca.pem")
    assert (report.failed, report.warned) == (0, 1)
    assert report.findings[0].name == "voice"
    assert "--anchor FILE" in report.findings[0].remedy


async def test_a_caller_without_a_name(proxy: RunningProxy, tmp_path: Path) -> None:
    directory = copy_directory(proxy.directory, tmp_path)
    shutil.rmtree(directory / "run")
    with running_proxy(directory, "clients.require_credential=true", "clients.file=clients.toml") as strict:
        report = await examined(f"{strict.url}/echo", directory=directory)
    assert report.failed == 1
    assert report.findings[0].name == "voice"
    assert report.findings[0].remedy


async def test_a_backend_that_says_nothing(
    proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(voice, "PATIENCE_SECONDS", 0.2)
    directory = copy_directory(proxy.directory, tmp_path)
    async with serving(mute_backend) as port:
        sets = ("routes.mute.adapter=raw", f"routes.mute.url=ws://127.0.0.1:{port}/", "admin.address=127.0.0.1:0")
        with running_proxy(directory, *sets) as running:
            report = await examined(f"{running.url}/mute", directory=directory)
    assert (report.failed, report.warned) == (0, 1)
    assert report.findings[0].name == "backend"
    assert "nothing came back in 0.2 s" in report.findings[0].what


@pytest.mark.parametrize(
    ("says", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speak TLS on this port"),
        (b"", ""),
        (b"\x15\x03\x03\x00\x02\x02\x28", "alert 40"),
    ],
)
async def test_what_is_no_tls(says: bytes, what: str) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(says)
        await stream.aclose()

    async with serving(answer) as port:
        report = await examined(f"wss://127.0.0.1:{port}/echo")
    assert report.failed == 1
    assert report.findings[0].name == "tls"
    assert what in report.findings[0].what
    assert report.findings[0].remedy


async def test_nobody_at_home() -> None:
    async with serving(mute_backend) as port:
        pass
    report = await examined(f"wss://127.0.0.1:{port}/echo")
    assert report.failed == 1
    assert report.findings[0].name == "tcp"
    assert "Connection refused" in report.findings[0].what


async def test_a_name_that_leads_nowhere() -> None:
    remote = remote_of("wss://no-such-host.invalid/echo", Trusted())
    (finding,) = await look_up(remote, Seen())
    assert finding.state is State.FAIL
    assert finding.what.startswith("no-such-host.invalid leads to no address")


@pytest.mark.parametrize(
    ("offset", "state"),
    [(None, State.OK), (2.0, State.OK), (-90.0, State.WARN), (400.0, State.FAIL), (-1e9, State.FAIL)],
)
def test_clocks_are_compared(offset: float | None, state: State) -> None:
    (finding,) = clock_findings(Seen(clock_offset_seconds=offset))
    assert finding.state is state
    assert bool(finding.remedy) == (state is not State.OK)


def test_the_servers_date_is_read() -> None:
    now = time.time()
    head = f"HTTP/1.1 101 Switching\r\nDate: {formatdate(now - 600, usegmt=True)}\r\n\r\n".encode()
    offset = _offset(head, now)
    assert offset is not None
    assert 599 < offset < 602
    for wrong in (
        b"",
        b"\r\nDate: nonsense\r\n",
        b"\r\nDate: \xff\r\n",
        b"\r\nDate: Mon, 99 Jan 9999999 00:00:00 GMT\r\n",
    ):
        assert _offset(wrong, now) is None


def test_what_the_command_line_says_is_read_first(tmp_path: Path) -> None:
    for url in ("ws://x/echo", "wss://x", "nonsense://"):
        with pytest.raises(CallMisconfigured):
            remote_of(url, Trusted())
    with pytest.raises(CallMisconfigured):
        remote_of("wss://x/echo", Trusted(directory=tmp_path))
    with pytest.raises(CallMisconfigured, match="give one of them"):
        remote_of("wss://x/echo", Trusted(directory=tmp_path, anchor=tmp_path))


@asynccontextmanager
async def serving(handle: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve on a port of the loopback until the block ends."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handle, 0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def mute_backend(stream: trio.SocketStream) -> None:
    """Open the WebSocket, then listen and say nothing."""
    websocket = ServerWebSocket(max_message_bytes=16_384)
    async for data in stream:
        for event in websocket.receive(bytes(data)):
            if isinstance(event, UpgradeRequest):
                websocket.accept(None)
                await stream.send_all(websocket.to_send())
