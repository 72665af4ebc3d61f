"""The raw contract over a real socket with a backend in a process of its own, on a WebSocket library not ours."""

import socket
import subprocess
import wave
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from sottovoce.relay import BackendDown, BackendFault, CallStart, Leg, RouteConfig, build_route
from sottovoce.relay.config import RawOptions
from sottovoce.wire import Codec, frames
from tests.interop.relay.demo import COMMAND, Demo, demo_backend
from tests.relay.calls import END, START, STATISTICS, RecordingSink

SPEECH = Path(__file__).parents[3] / "loadtest" / "audio" / "speech-16k.wav"
PCM_START = msgspec.structs.replace(START, send_codec=Codec.PCM16_16K, receive_codec=Codec.PCM16_16K)
FRAME_BYTES = 640


def speech() -> list[bytes]:
    with wave.open(str(SPEECH)) as file:
        samples = file.readframes(file.getnframes())
    return [samples[at : at + FRAME_BYTES] for at in range(0, len(samples), FRAME_BYTES)]


class Call:
    """A call that can wait for what its sink hears."""

    def __init__(self, url: str, start: CallStart = PCM_START, **fields: Any) -> None:
        self.sink = RecordingSink()
        self._connection = build_route("support", RouteConfig(adapter="raw", url=url, **fields)).connect(
            start, self.sink
        )

    def connect(self) -> AbstractAsyncContextManager[Leg]:
        return self._connection

    async def hear(self, count: int) -> list[tuple[object, ...]]:
        with trio.fail_after(20):
            return await self.sink.hear(count)


async def say(leg: Leg, codec_bytes: bytes, number: int) -> None:
    leg.audio(frames.encode_audio(codec_bytes, 0, number * 320), 0)
    leg.flush()
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("header", [False, True])
async def test_the_backend_hears_exactly_the_frames_sent_and_we_its_answers(tmp_path: Path, *, header: bool) -> None:
    spoken = speech()
    async with demo_backend(tmp_path, "--mark-every", "100") as demo:
        call = Call(demo.url, raw=RawOptions(header=header), queue_frames=1000)
        async with call.connect() as leg:
            for number, codec_bytes in enumerate(spoken):
                await say(leg, codec_bytes, number)
            leg.dtmf(5, 160)
            leg.json(b'{"a":1}')
            leg.mute(muted=True)
            leg.mark_played("frame 100")
            leg.flush()
            told = await call.hear(len(spoken) + 5)
            leg.stop(END)
        heard = demo.heard()
    prefix = [frames.FLAG_TIMESTAMP.to_bytes(1) + (n * 320).to_bytes(4) + b"\0\0" for n in range(len(spoken))]
    assert heard[1 : len(spoken) + 1] == [
        (head if header else b"") + frame for head, frame in zip(prefix, spoken, strict=True)
    ]
    assert [text["type"] for text in heard if isinstance(text, dict)] == [
        "start", "dtmf", "json", "mute", "mark", "stop"
    ]  # fmt: skip
    assert [codec_bytes for what, codec_bytes, *_ in told if what == "audio"] == spoken
    assert [each for each in told if each[0] != "audio"] == [
        *[("mark", f"frame {number}") for number in (100, 200, 300)],
        ("dtmf", 5, 160),
        ("json", b'{"a":1}'),
    ]
    if header:
        assert [stamp for what, *_, stamp in told if what == "audio"] == [n * 320 for n in range(len(spoken))]


async def test_two_calls_at_once_are_kept_apart(tmp_path: Path) -> None:
    async with demo_backend(tmp_path) as demo, trio.open_nursery() as nursery:

        async def have_a_call(number: int) -> None:
            start = msgspec.structs.replace(PCM_START, session_id=number.to_bytes(16))
            call = Call(demo.url, start)
            async with call.connect() as leg:
                await say(leg, bytes([number]) * 640, 0)
                assert await call.hear(1) == [("audio", bytes([number]) * 640, 0, None)]
                leg.stop(END)
            assert demo.heard(start.session_id)[1:-1] == [bytes([number]) * 640]

        for number in range(1, 6):
            nursery.start_soon(have_a_call, number)


async def test_a_backend_that_hangs_up(tmp_path: Path) -> None:
    start = msgspec.structs.replace(PCM_START, receive_codec=Codec.PCMU_8K)
    async with demo_backend(tmp_path) as demo:
        call = Call(demo.url, start)
        async with call.connect() as leg:
            assert await call.hear(1) == [("hung_up", "an echo cannot translate between codecs")]
            leg.stop(END)
        heard = demo.heard()
    assert isinstance(heard[-1], dict)
    assert heard[-1]["type"] == "stop"
    assert heard[-1]["statistics"]["seconds"] == STATISTICS.seconds


async def killed(demo: Demo) -> None:
    demo.process.kill()
    await demo.process.wait()


async def test_a_backend_that_is_killed(tmp_path: Path) -> None:
    async with demo_backend(tmp_path) as demo:
        call = Call(demo.url)
        async with call.connect() as leg:
            await say(leg, b"\0" * 640, 0)
            await call.hear(1)
            await killed(demo)
            await say(leg, b"\0" * 640, 1)
            _, (what, reason) = await call.hear(2)
            assert what == "backend_closed"
            assert str(reason).startswith("lost: ")
            leg.stop(END)
        with pytest.raises(BackendDown) as caught:
            async with Call(demo.url, connect_attempts=2).connect():
                pytest.fail("entered")
    assert caught.value.fault is BackendFault.UNREACHABLE
    assert caught.value.detail.endswith(": Connection refused")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=30, check=False)


def test_a_busy_port_is_one_line_with_a_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("; choose another --host or --port (0 takes a free one)\n")


def test_a_record_that_cannot_be_written_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    done = run("--port", "0", "--record", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("; --record needs a file that can be written\n")
