"""The example `FrameSerializer` in a bot of Pipecat's own, with its WebSocket transport, behind a real proxy."""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from loadtest.peers.servers.processes import free_port
from sottovoce import client
from sottovoce.client import Audio, Codec
from sottovoce.client.sync import connect
from tests.running import ROOT, START_SECONDS, RunningProxy, environment, make_directory, running_proxy

PIPECAT = str(Path(sys.prefix) / "pipecat/bin/python")
pytestmark = pytest.mark.interop(tool=("softhsm2-util", PIPECAT))
_SECONDS = 20


@pytest.fixture(params=[(Codec.PCM16_16K, 16_000), (Codec.PCMU_8K, 8_000)], ids=["pcm16", "pcmu"])
def bot(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[tuple[Codec, str, "subprocess.Popen[str]"]]:
    codec, rate = request.param
    words = [PIPECAT, "-m", "loadtest.backends.pipecat_bot", "--port", str(free_port()), "--rate", str(rate)]
    with (
        (tmp_path / "bot.log").open("wb") as said,
        subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield codec, process.stdout.readline().strip(), process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("pipecat"))


def said_back(call: Any, frames: list[bytes]) -> list[bytes]:
    for frame in frames:
        call.send(frame)
    return [call.receive(timeout=_SECONDS).payload for _ in frames]


def test_a_pipecat_bot_holds_calls(made: Path, bot: tuple[Codec, str, "subprocess.Popen[str]"]) -> None:
    codec, url, process = bot
    assert url.startswith("ws://127.0.0.1:")
    frames = [bytes([number, 1]) * (codec.frame_bytes(20) // 2) for number in range(1, 26)]
    with running_proxy(made, "routes.bot.adapter=raw", f"routes.bot.url={url}") as proxy:
        with call_to(proxy, codec) as call:
            assert said_back(call, frames) == frames
        with call_to(proxy, codec) as call:
            assert said_back(call, frames[:5]) == frames[:5]
            call.dtmf(5)
            assert call.receive(timeout=_SECONDS) == client.Dtmf(5, 160)
            call.json({"a": 1})
            assert call.receive(timeout=_SECONDS) == client.Json({"a": 1})
            call.send(b"")  # silence, which the bot hears as samples
            assert call.receive(timeout=_SECONDS) == Audio(silence(codec))
            call.dtmf(0)
            assert call.receive(timeout=_SECONDS) == client.Clear()
            call.dtmf(11)
            ended = call.receive(timeout=_SECONDS)
            assert (ended.label, ended.truncated) == ("normal", False)
    assert process.wait(START_SECONDS) == os.EX_OK


def silence(codec: Codec) -> bytes:
    return (b"\xff" if codec is Codec.PCMU_8K else b"\0") * codec.frame_bytes(20)


def call_to(proxy: RunningProxy, codec: Codec) -> Any:
    certs = proxy.directory / "certs"
    return connect(f"{proxy.url}/bot", anchor=certs / "anchor.json", ca=certs / "ca.pem", codec=codec)
