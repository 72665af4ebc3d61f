"""A backend in Go that speaks `mux` from its document, a process of its own, over TCP and a socket in a folder."""

import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from sottovoce.relay import CallSink, Leg, RouteConfig, build_route
from sottovoce.wire import frames
from tests.relay.calls import DATA_START, END, START, RecordingSink

pytestmark = pytest.mark.interop(tool="go")

SOURCE = Path(__file__).with_name("backend.go")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The compiled backend.  Without a network: it uses the standard library alone."""
    folder = tmp_path_factory.mktemp("go")
    offline = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "GO111MODULE": "off"}
    path = str(folder / "backend")
    subprocess.run(["go", "build", "-o", path, str(SOURCE)], check=True, cwd=folder, env={**os.environ, **offline})
    return path


@asynccontextmanager
async def serving(program: str, *words: str) -> AsyncGenerator[tuple[trio.Process, str]]:
    """Run the backend until the block is left; give its URL."""
    process = await trio.lowlevel.open_process(
        [program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        address = b""
        with trio.fail_after(20):
            while not address.endswith(b"\n"):
                address += await process.stdout.receive_some()
        yield process, ("tcp://" if words[0] == "tcp" else "unix:") + address.decode().strip()
        await process.stdin.aclose()
        with trio.fail_after(10):
            await process.wait()
        assert process.returncode in {0, -signal.SIGKILL}
        assert await process.stderr.receive_some() == b""
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                await pipe.aclose()


class Calls:
    """Calls by one route."""

    def __init__(self, url: str) -> None:
        self.route = build_route("support", RouteConfig(adapter="mux", url=url))

    @asynccontextmanager
    async def call(self, sink: CallSink, *, data: bool = False) -> AsyncGenerator[Leg]:
        async with self.route.connect(DATA_START if data else START, sink) as leg:
            yield leg


async def hear(sink: RecordingSink, count: int) -> list[tuple[object, ...]]:
    with trio.fail_after(20):
        return await sink.hear(count)


def sound(number: int) -> bytes:
    return frames.encode_audio(number.to_bytes(2), frames.FLAG_TALK_SPURT if number == 0 else 0, 160 * number)


@pytest.mark.parametrize("network", ["tcp", "unix"])
async def test_calls_are_held_side_by_side(program: str, network: str, tmp_path: Path) -> None:
    where = "127.0.0.1:0" if network == "tcp" else str(tmp_path / "bot.sock")
    async with serving(program, network, where) as (_, url):
        calls = Calls(url)

        async def one() -> None:
            sink = RecordingSink()
            async with calls.call(sink) as leg:
                for number in range(300):
                    leg.audio(sound(number), 0)
                    leg.flush()
                    await hear(sink, number - 20)
                leg.audio(sound(300), 7)
                leg.dtmf(0, 100)
                leg.json(b'{"a": 1}')
                leg.mark_played("m")
                leg.flush()
                heard = await hear(sink, 305)
                leg.stop(END)
            assert heard[0] == ("audio", b"\0\0", frames.FLAG_TALK_SPURT, 0)
            assert heard[1:301] == [("audio", number.to_bytes(2), 0, 160 * number) for number in range(1, 301)]
            assert heard[301:] == [("mark", "before the key"), ("dtmf", 0, 100), ("json", b'{"a": 1}'), ("clear",)]
            assert leg.statistics.frames_dropped_to_backend == 0

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one)


async def test_a_data_session(program: str) -> None:
    async with serving(program, "tcp", "127.0.0.1:0") as (_, url):
        sink = RecordingSink()
        async with Calls(url).call(sink, data=True) as leg:
            leg.data(bytes(8000))
            leg.flush()
            assert await hear(sink, 1) == [("data", bytes(8000))]
            leg.stop(END)


async def test_it_hangs_up_gives_up_and_goes_away(program: str) -> None:
    async with serving(program, "tcp", "127.0.0.1:0") as (_, url):
        calls = Calls(url)
        other = RecordingSink()
        async with calls.call(other) as going_on:
            for key, end in (
                (1, ("hung_up", "key 1")),
                (2, ("backend_closed", "failed: it gave the call up: failed: key 2")),
            ):
                sink = RecordingSink()
                async with calls.call(sink) as leg:
                    leg.dtmf(key, 1)
                    leg.flush()
                    assert await hear(sink, 1) == [end]
                    leg.stop(END)
            going_on.dtmf(4, 1)
            going_on.flush()
            assert await hear(other, 1) == [("dtmf", 4, 1)]
            sink = RecordingSink()
            async with calls.call(sink) as leg:  # on a connection of its own
                leg.dtmf(3, 1)
                leg.flush()
                ((what, reason),) = await hear(sink, 1)
                assert what == "backend_closed"
                assert str(reason).startswith("bad_framing: ")
                leg.stop(END)
            going_on.dtmf(5, 1)
            going_on.flush()
            assert (await hear(other, 2))[1] == ("dtmf", 5, 1)
            going_on.stop(END)


async def test_it_is_killed(program: str) -> None:
    async with serving(program, "tcp", "127.0.0.1:0") as (process, url):
        sinks = [RecordingSink() for _ in range(2)]
        calls = Calls(url)
        async with calls.call(sinks[0]), calls.call(sinks[1]):
            process.kill()
            for sink in sinks:
                ((what, reason),) = await hear(sink, 1)
                assert what == "backend_closed"
                assert str(reason).startswith("lost: ")
        await process.wait()
