"""Routes as a configuration builds them, to backends of the library: over TCP, TLS and a socket in the file system."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import pytest
import trio

from sottovoce.backend.trio import Audio, Call, Dtmf, ServeOptions, serve
from sottovoce.relay import BackendDown, Route, RouteConfig, RouteMisconfigured, build_route
from sottovoce.relay.mux import MuxRoute
from sottovoce.wire import frames
from tests.relay.calls import END, START, RecordingSink
from tests.transport.certificates import Authority, pem_of

SOUND = frames.encode_audio(b"abc", 0, None)


def build(directory: Path, **fields: Any) -> Route:
    return build_route("bot", RouteConfig(adapter="mux", connect_attempts=1, **fields), directory=directory)


@asynccontextmanager
async def serving(host: str, **options: Unpack[ServeOptions]) -> AsyncGenerator[str]:
    """Serve a bot that echoes, and hangs up at a key; give its URL."""

    async def bot(call: Call) -> None:
        async for item in call:
            match item:
                case Audio():
                    await call.send(item)
                case Dtmf():
                    await call.hang_up("bye")
                case _:
                    pass

    options["adapter"] = "mux"
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve, bot, host, 0, **options))
        nursery.cancel_scope.cancel()


async def hear(sink: RecordingSink, count: int) -> list[tuple[object, ...]]:
    with trio.fail_after(20):
        return await sink.hear(count)


async def echo(route: Route) -> None:
    """Hold two calls at a time."""
    sinks = [RecordingSink(), RecordingSink()]
    async with route.connect(START, sinks[0]) as first, route.connect(START, sinks[1]) as second:
        for number in range(100):
            for leg, sink in ((first, sinks[0]), (second, sinks[1])):
                leg.audio(SOUND, 0)
                leg.flush()
                await hear(sink, number)
        second.dtmf(1, 1)
        second.flush()
        for sink in sinks:
            assert (await hear(sink, 100))[:100] == [("audio", b"abc", 0, None)] * 100
        assert (await hear(sinks[1], 101))[100] == ("hung_up", "bye")
        for leg in (first, second):
            leg.stop(END)


async def test_over_tcp() -> None:
    async with serving("127.0.0.1") as url:
        await echo(build(Path(), url=url))


async def test_over_a_socket_in_the_file_system(tmp_path: Path) -> None:
    async with serving(f"unix:{tmp_path}/bot.sock") as url:
        route = build(tmp_path, url=url)
        assert isinstance(route, MuxRoute)
        await route.reach()
        await echo(route)
    with pytest.raises(BackendDown, match=r"unreachable: unix:.*bot\.sock: "):
        await route.reach()


async def test_over_tls(tmp_path: Path) -> None:
    ca = Authority("ca")
    for name, data in zip(("cert.pem", "key.pem"), pem_of(ca.issue("localhost")), strict=True):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    async with serving("localhost", certificate_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem") as url:
        await echo(build(tmp_path, url=url, ca_file="ca.pem"))
        with pytest.raises(BackendDown, match="unreachable: localhost:"):
            async with build(tmp_path, url=url).connect(START, RecordingSink()):
                pass


async def test_as_many_calls_as_the_backend_takes() -> None:
    async with serving("127.0.0.1", max_calls=1) as url:
        route = build(Path(), url=url)
        async with route.connect(START, RecordingSink()):
            with pytest.raises(BackendDown, match=r"refused: 127\.0\.0\.1:.*: busy: "):
                async with route.connect(START, RecordingSink()):
                    pass


@pytest.mark.parametrize(
    ("fields", "is_plain"),
    [
        ({"url": "tcp://127.0.0.1:9000"}, False),
        ({"url": "unix:/run/bot.sock", "allow_plaintext_network": True}, False),
        ({"url": "tls://bot.example:9000"}, False),
        ({"url": "tcp://bot.example:9000", "allow_plaintext_network": True}, True),
    ],
)
def test_what_is_warned_of(fields: dict[str, Any], *, is_plain: bool) -> None:
    route = build(Path(), **fields)
    assert route.plaintext_network == is_plain
    warning = "routes.bot.allow_plaintext_network: audio goes unencrypted to bot.example:9000; use tls:// instead"
    assert route.warnings == ((warning,) if is_plain else ())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, 'url: mux needs a backend; write url = "tcp://127.0.0.1:PORT" or a tls:// one'),
        ({"url": "ws://127.0.0.1:9000/"}, "write tcp://HOST:PORT"),
        ({"url": "tcp://bot.example:9000"}, "would send audio unencrypted over the network"),
        ({"url": "unix:/run/bot.sock", "ca_file": "ca.pem"}, "ca_file: has no meaning"),
        ({"url": "unix:bot.sock"}, "names no socket"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(Path(), **fields)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RouteMisconfigured, match=r"routes\.bot\.ca_file"):
        build(tmp_path, url="tls://bot.example:9000", ca_file="none.pem")
