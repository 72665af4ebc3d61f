"""Calls that do not come about, and what is left when a program or the client itself breaks off."""

import gc
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sottovoce.client import (
    Audio,
    AuthFailed,
    CallError,
    CallMisconfigured,
    ConnectFailed,
    InternalFault,
    ServerNotTrusted,
)
from sottovoce.client.machine import CallMachine
from sottovoce.client.trio import connect
from sottovoce.primitives import Secret
from sottovoce.session import Identity, ServerConfig
from sottovoce.wire import Code
from tests.client.servers import FRAME, URL, PureServer, anchors
from tests.client.trio.servers import TrioServer, VirtualClock, a_call, calling, serving
from tests.session.dialogue import Credentials
from tests.transport.certificates import authority


async def _fails(stream: trio.abc.Stream, **options: Any) -> CallError:
    with pytest.raises(CallError) as refusal:
        async with calling(stream, **options):
            raise AssertionError("it was open")
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some(1)
    return refusal.value


async def test_where_nobody_listens() -> None:
    with trio.socket.socket() as placeholder:
        await placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
        with pytest.raises(ConnectFailed, match=f"cannot reach localhost:{port}: Connection refused"):
            async with connect(f"wss://localhost:{port}/echo", anchor=anchors(), ca=authority().pem):
                raise AssertionError("it was open")


async def test_a_host_that_never_answers(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str, port: int) -> trio.SocketStream:
        del host, port
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", never)
    with pytest.raises(ConnectFailed, match="no answer in time"):
        async with connect(URL, anchor=anchors(), ca=authority().pem):
            raise AssertionError("it was open")
    assert trio.current_time() == 10


async def test_what_cannot_be_is_found_before_anything_is_sent() -> None:
    with pytest.raises(CallMisconfigured, match="ws:// has no TLS"):
        async with connect("ws://localhost/echo", anchor=anchors()):
            raise AssertionError("it was open")


async def test_a_server_that_says_nothing(autojump_clock: MockClock) -> None:
    async with serving() as (stream, server):
        server.hears = False
        failure = await _fails(stream)
        assert type(failure) is ConnectFailed
        assert trio.current_time() == pytest.approx(10)


async def test_a_server_that_is_not_trusted(autojump_clock: MockClock) -> None:
    async with serving() as (stream, server):
        assert type(await _fails(stream, url="wss://other.example/echo")) is ServerNotTrusted
        await server.is_done.wait()


async def test_a_server_of_another_protocol(autojump_clock: MockClock) -> None:
    async with serving(PureServer(answer=lambda websocket: websocket.accept(None))) as (stream, server):
        assert type(await _fails(stream)) is ConnectFailed
        await server.is_done.wait()


async def test_a_server_that_does_not_prove_itself(autojump_clock: MockClock) -> None:
    async with serving() as (stream, server):
        failure = await _fails(stream, anchor=anchors("other.example"))
        assert type(failure) is AuthFailed
        assert failure.code == Code.AUTH_FAILED
        await server.is_done.wait()


@pytest.mark.protocol("P3.38")
async def test_a_token_that_is_refused(autojump_clock: MockClock) -> None:
    pure = PureServer(config=ServerConfig(credential_kinds=(1,)), credentials=Credentials(Code.AUTH_FAILED))
    async with serving(pure) as (stream, _), calling(stream, token="token") as call:
        with pytest.raises(AuthFailed, match="refused this client's credential"):
            await call.__anext__()


@pytest.mark.protocol("P1.7", "P4.17")
async def test_a_token_is_shown_nowhere_and_wiped_however_it_ends(
    autojump_clock: MockClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "token"
    path.write_text("hunter2-hunter2")
    made: list[Secret] = []
    texts: list[str] = []
    for config in (ServerConfig(credential_kinds=(1,)), ServerConfig(), ServerConfig(credential_kinds=())):
        pure = PureServer(config=config, credentials=Credentials(Identity("alice")))
        async with serving(pure) as (stream, _):
            try:
                async with calling(stream, token=path) as call:
                    texts.append(repr((call, vars(call), vars(call._link), vars(call._link.machine))))
            except CallError as error:
                texts += traceback.format_exception(error)
    with pytest.raises(ConnectFailed):
        async with connect("wss://127.0.0.1:1/echo", anchor=anchors(), ca=authority().pem, token=path):
            raise AssertionError("it was open")
    made += [each for each in gc.get_objects() if isinstance(each, Secret) and each.name == "bearer token"]
    assert all(secret.is_wiped for secret in made)
    assert "hunter2" not in "".join(texts) + caplog.text


async def test_a_fault_in_the_client_itself_ends_the_call_and_not_the_program(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_call() as (call, server):
        await call.send(b"a")
        assert await call.__anext__() == Audio(b"a")

        def fails(*_: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(CallMachine, "receive", fails)
            server.pure.say(b"b")
            await server.write()
            await server.is_done.wait()
        for _ in range(2):
            with pytest.raises(InternalFault, match="a fault in the client itself"):
                await call.__anext__()
        with pytest.raises(InternalFault):
            await call.send(FRAME)
        session = call._link.machine._session
        assert session is not None
        assert session._receiver is None


def test_a_program_that_ends_without_closing_its_call_ends() -> None:
    streams: list[Any] = []

    async def program() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        streams.append(ours)
        trio.lowlevel.spawn_system_task(TrioServer(theirs, PureServer(echo=True)).run)
        connecting = calling(ours)
        call = await connecting.__aenter__()
        await call.send(FRAME)
        await call.__anext__()
        keep.append(connecting)

    keep: list[object] = []
    trio.run(program, clock=MockClock(autojump_threshold=0))
    assert keep
    assert streams[0].receive_stream._closed


async def test_the_users_clock_is_the_systems_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[float] = []
    monkeypatch.setattr("sottovoce.client.trio.call.SystemClock", lambda: _Recording(readings))
    async with serving() as (stream, _), connect(URL, anchor=anchors(), ca=authority().pem, stream=stream) as call:
        await call.send(FRAME)
    assert readings


class _Recording(VirtualClock):
    def __init__(self, readings: list[float]) -> None:
        super().__init__()
        self._readings = readings

    def now(self) -> float:
        self._readings.append(super().now())
        return self._readings[-1]
