"""Backends over TCP and TLS on loopback: a TLS stack not ours at the other end, and a peer that makes no room."""

import re
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketServer, serve_websocket

from sottovoce.relay import BackendDown, BackendFault, RouteConfig, build_route
from sottovoce.relay.demo_backend import EchoBackend
from sottovoce.relay.link import open_network_stream, parse_url
from sottovoce.transport import ServerWebSocket, TlsIdentity, UpgradeRequest
from sottovoce.wire import frames
from tests.relay.calls import END, START, RecordingSink
from tests.transport.certificates import Authority, authority, leaf, pem_of

OTHER = Authority("Somebody else")


def write_pem(directory: Path, name: str, identity: TlsIdentity) -> tuple[str, str]:
    paths = directory / f"{name}.pem", directory / f"{name}-key.pem"
    for path, data in zip(paths, pem_of(identity), strict=True):
        path.write_bytes(data)
    return str(paths[0]), str(paths[1])


@asynccontextmanager
async def backend(
    directory: Path,
    identity: TlsIdentity,
    *,
    client_ca: Authority | None = None,
) -> AsyncGenerator[int]:
    """An echoing backend over the standard library's TLS; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pem(directory, "backend", identity))
    if client_ca is not None:
        context.load_verify_locations(cadata=client_ca.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    async with trio.open_nursery() as nursery:
        serve = partial(serve_websocket, EchoBackend().serve_call, "127.0.0.1", 0, context)
        server: WebSocketServer = await nursery.start(serve)
        yield server.port
        nursery.cancel_scope.cancel()


async def call(directory: Path, port: int, host: str = "localhost", **files: Any) -> list[tuple[object, ...]]:
    """Have a frame echoed; gives what the sink was told."""
    (directory / "ca.pem").write_bytes(authority().pem)
    files = {"ca_file": "ca.pem"} | files
    config = RouteConfig(adapter="raw", url=f"wss://{host}:{port}/", connect_attempts=1, **files)
    sink = RecordingSink()
    with trio.fail_after(20):
        async with build_route("support", config, directory=directory).connect(START, sink) as leg:
            leg.audio(frames.encode_audio(b"\xff", 0, None), 0)
            leg.flush()
            await sink.hear(1)
            leg.stop(END)
    return sink.told


ECHOED = [("audio", b"\xff", 0, None)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_call_over_tls(tmp_path: Path, host: str) -> None:
    async with backend(tmp_path, leaf()) as port:
        assert await call(tmp_path, port, host) == ECHOED


async def test_a_call_that_ends_in_good_order_ends_tls_so_too(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pem(tmp_path, "backend", leaf()))
    ended = trio.Event()

    async def echo(stream: trio.SSLStream[trio.SocketStream]) -> None:
        server = ServerWebSocket(max_message_bytes=65_536)
        while data := await stream.receive_some():  # raises where TLS ends without close_notify
            for event in server.receive(bytes(data)):
                if isinstance(event, bytes):
                    server.send_binary(event)
                elif isinstance(event, UpgradeRequest):
                    server.accept(None)
            await stream.send_all(server.to_send())
        ended.set()

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_ssl_over_tcp, echo, 0, context, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        port = listener.transport_listener.socket.getsockname()[1]
        assert await call(tmp_path, port) == ECHOED
        with trio.fail_after(10):
            await ended.wait()
        nursery.cancel_scope.cancel()


async def test_the_client_certificate_is_shown_to_a_backend_that_asks(tmp_path: Path) -> None:
    certificate, key = write_pem(tmp_path, "client", OTHER.issue("proxy"))
    async with backend(tmp_path, leaf(), client_ca=OTHER) as port:
        files = {"client_certificate_file": certificate, "client_key_file": key}
        assert await call(tmp_path, port, **files) == ECHOED


async def refused(directory: Path, port: int, **files: Any) -> str:
    with pytest.raises(BackendDown) as caught:
        await call(directory, port, **files)
    assert caught.value.fault is BackendFault.UNREACHABLE
    assert "\n" not in str(caught.value)
    return caught.value.detail


@asynccontextmanager
async def s_server(directory: Path, *words: str) -> AsyncGenerator[int]:
    """OpenSSL's own server, which says why it refuses (the standard library's says nothing under Trio)."""
    certificate, key = write_pem(directory, "backend", leaf())
    (directory / "ca.pem").write_bytes(authority().pem)
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, *words]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdin
    try:
        output = b""
        with trio.fail_after(20):
            while not (port := re.search(rb"ACCEPT 127\.0\.0\.1:(\d+)\n", output)):
                output += await process.stdout.receive_some()
        yield int(port[1])
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


@pytest.mark.interop(tool="openssl")
@pytest.mark.parametrize("issuer", [None, OTHER], ids=["none", "another CA's"])
async def test_a_backend_that_demands_another_certificate(tmp_path: Path, issuer: Authority | None) -> None:
    files = {}
    if issuer is not None:
        certificate, key = write_pem(tmp_path, "client", issuer.issue("proxy"))
        files = {"client_certificate_file": certificate, "client_key_file": key}
    demands = ("-Verify", "1", "-verify_return_error", "-CAfile", str(tmp_path / "ca.pem"))
    async with s_server(tmp_path, *demands) as port:
        assert "alert" in await refused(tmp_path, port, **files)


@pytest.mark.interop(tool="openssl")
async def test_a_backend_with_tls_12_alone(tmp_path: Path) -> None:
    async with s_server(tmp_path, "-tls1_2") as port:
        assert "version" in await refused(tmp_path, port)


@pytest.mark.parametrize(
    "identity",
    [OTHER.issue("localhost"), authority().issue("elsewhere.example"), authority().issue("localhost", days=(-3, -1))],
    ids=["wrong CA", "wrong host", "expired"],
)
async def test_a_backend_whose_certificate_does_not_hold(tmp_path: Path, identity: TlsIdentity) -> None:
    async with backend(tmp_path, identity) as port:
        assert "certificate" in await refused(tmp_path, port)


async def test_a_backend_of_the_tests_ca_is_none_of_the_systems(tmp_path: Path) -> None:
    async with backend(tmp_path, leaf()) as port:
        assert "certificate" in await refused(tmp_path, port, ca_file=None)


async def test_a_backend_without_tls(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, EchoBackend().serve_call, "127.0.0.1", 0, None))
        assert "TLS" in await refused(tmp_path, server.port)
        nursery.cancel_scope.cancel()


async def test_tcp_itself_watches_for_silence() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    stream = await open_network_stream(
        parse_url(f"ws://127.0.0.1:{port}/"), None, silence_seconds=15, loopback_only=True
    )
    assert isinstance(stream, trio.SocketStream)
    option = stream.getsockopt
    assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, probes, pause = map(
        partial(option, socket.IPPROTO_TCP), (socket.TCP_KEEPIDLE, socket.TCP_KEEPCNT, socket.TCP_KEEPINTVL)
    )
    assert idle + probes * pause == 15
    await stream.aclose()
    await listeners[0].aclose()


async def test_a_backend_that_makes_no_room_is_lost_after_its_silence() -> None:
    """Nothing but TCP_USER_TIMEOUT ends this: audio is dropped and counted as long as nobody reads."""
    hold = trio.Event()
    with trio.socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
        sink = RecordingSink()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_and_hold, listening, hold)
            route = build_route("support", RouteConfig(adapter="raw", url=url, silence_seconds=1))
            async with route.connect(START, sink) as leg:
                frame = frames.encode_audio(bytes(160), 0, None)
                with trio.fail_after(30):
                    while not sink.told:
                        for _ in range(50):
                            leg.audio(frame, 0)
                        leg.flush()
                        await trio.sleep(0.001)
                assert leg.statistics.frames_dropped_to_backend
            hold.set()
    ((what, reason),) = sink.told
    assert what == "backend_closed"
    assert str(reason).startswith("lost: ")


async def accept_and_hold(listening: trio.socket.SocketType, hold: trio.Event) -> None:
    """Accept the WebSocket, then read nothing."""
    accepted, _ = await listening.accept()
    async with trio.SocketStream(accepted) as stream:
        server = ServerWebSocket(max_message_bytes=65_536)
        while not server.receive(bytes(await stream.receive_some())):
            pass
        server.accept(None)
        await stream.send_all(server.to_send())
        await hold.wait()
