"""The library for backends behind a real proxy, with our client at the other end."""

import logging
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest

from sottovoce import client
from sottovoce.backend import Audio, Call, Data, Dtmf, Ended, Json, MarkPlayed, Mute
from sottovoce.client import BackendDown, Codec
from sottovoce.client.sync import connect
from tests.backend.servers import Server, serving
from tests.running import RunningProxy, make_directory, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
LOOPS = ("trio", "asyncio", "uvloop")
FRAMES = [bytes([number]) * 160 for number in range(100)]
FAIL, MARK, CLEAR, HANG_UP = range(4)
_SECONDS = 20


async def press(call: Call, event: int) -> None:
    match event:
        case 0:
            raise RuntimeError("the key that must not be pressed")
        case 1:
            await call.mark("here")
        case 2:
            await call.clear()
        case 3:
            await call.hang_up("enough")
        case _:
            await call.dtmf(event, 100)


def bot_of(server: Server) -> Any:
    async def bot(call: Call) -> None:
        server.told.put(call.start)
        async for item in call:
            match item:
                case Audio() | Data():
                    await call.send(item)
                case Dtmf(event=event):
                    await press(call, event)
                case Json(value):
                    await call.json({"heard": dict(value)})
                case Mute(muted):
                    await call.json({"muted": muted})
                case MarkPlayed(name):
                    await call.json({"played": name})
                case Ended():
                    server.told.put(item)

    return bot


@pytest.fixture(scope="module")
def servers() -> Generator[dict[str, Server]]:
    with ExitStack() as stack:
        found = {loop: Server(loop) for loop in LOOPS}
        for server in found.values():
            stack.enter_context(serving(server, bot_of(server)))
        yield found


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, Server]) -> Generator[RunningProxy]:
    sets = [
        word
        for name, server in servers.items()
        for header, route in (("false", name), ("true", f"{name}-header"))
        for word in (
            *(f"routes.{route}.adapter=raw", f"routes.{route}.url={server.url}"),
            f"routes.{route}.raw.header={header}",
        )
    ]
    with running_proxy(make_directory(tmp_path_factory.mktemp("library")), *sets) as proxy:
        yield proxy


@pytest.fixture(params=LOOPS)
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    found = servers[request.param]
    while not found.told.empty():
        found.told.get()
    return found


def call_to(proxy: RunningProxy, route: str, codec: Codec = Codec.PCMU_8K) -> Any:
    certs = proxy.directory / "certs"
    return connect(f"{proxy.url}/{route}", anchor=certs / "anchor.json", ca=certs / "ca.pem", codec=codec)


def test_audio_keys_marks_and_messages_both_ways(server: Server, proxy: RunningProxy) -> None:
    with call_to(proxy, server.loop) as call:
        start = server.hear()
        assert (start.codec, start.rate, start.frame_bytes, start.route) == ("pcmu", 8000, 160, server.loop)
        assert start.session_id == call.statistics.session_id
        for frame in FRAMES:
            call.send(frame)
        assert [call.receive(timeout=_SECONDS).payload for _ in FRAMES] == FRAMES
        call.dtmf(11)
        assert call.receive(timeout=_SECONDS) == client.Dtmf(11, 100)
        call.dtmf(CLEAR)
        assert call.receive(timeout=_SECONDS) == client.Clear()
        call.dtmf(MARK)
        mark = call.receive(timeout=_SECONDS)
        assert mark == client.Mark("here")
        call.mark_played(mark)
        assert call.receive(timeout=_SECONDS) == client.Json({"played": "here"})
        call.json({"a": [1]})
        assert call.receive(timeout=_SECONDS) == client.Json({"heard": {"a": [1]}})
        call.mute()
        assert call.receive(timeout=_SECONDS) == client.Json({"muted": True})
    ended = server.hear()
    assert (ended.code, ended.reason, ended.truncated) == (1000, "normal", False)
    assert (ended.statistics.frames_from_client, ended.statistics.frames_to_client) == (100, 100)


def test_with_headers(server: Server, proxy: RunningProxy) -> None:
    with call_to(proxy, f"{server.loop}-header") as call:
        call.send(FRAMES[1], talk_spurt=True, timestamp=7)
        call.send(FRAMES[2], end_of_turn=True)
        assert call.receive(timeout=_SECONDS) == client.Audio(FRAMES[1], talk_spurt=True, timestamp=7)
        assert call.receive(timeout=_SECONDS) == client.Audio(FRAMES[2], end_of_turn=True)


def test_a_call_without_audio(server: Server, proxy: RunningProxy) -> None:
    with call_to(proxy, server.loop, Codec.NONE) as call:
        call.send_data(b"\1\2\3")
        assert call.receive(timeout=_SECONDS) == client.Data(b"\1\2\3")


def test_the_backend_hangs_up(server: Server, proxy: RunningProxy) -> None:
    with call_to(proxy, server.loop) as call:
        call.dtmf(HANG_UP)
        ended = call.receive(timeout=_SECONDS)
        assert (ended.label, ended.truncated, ended.local) == ("normal", False, False)
    server.hear()
    assert not server.hear().truncated


def test_a_handler_that_raises_is_backend_down_for_its_caller_alone(
    server: Server, proxy: RunningProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "sottovoce.backend")
    with call_to(proxy, server.loop) as other:
        with call_to(proxy, server.loop) as call:
            call.dtmf(FAIL)
            with pytest.raises(BackendDown):
                call.receive(timeout=_SECONDS)
        other.send(FRAMES[3])
        assert other.receive(timeout=_SECONDS).payload == FRAMES[3]
    assert "the handler raised RuntimeError at " in caplog.text
