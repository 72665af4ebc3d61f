"""Calls through a running proxy to a server that was written from OpenAI's documented Realtime events alone."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.client import Audio, Call, Clear
from sottovoce.relay import g711
from sottovoce.wire import Codec
from tests.interop.relay import bots
from tests.interop.relay.bots import RunningBot, converse, next_of, running_bot
from tests.relay.realtime.server import TO_SERVER, TO_SERVER_BETA
from tests.relay.realtime.sound import heard_tone, tone
from tests.running import RunningProxy, make_directory

pytestmark = pytest.mark.interop(tool="softhsm2-util")
SECRET = "sk-of-this-test-alone"
HERTZ = 700


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("realtime"))


@asynccontextmanager
async def calling(
    made: Path, tmp_path: Path, *settings: str, beta: bool = False, **options: Any
) -> AsyncGenerator[tuple[Call, RunningBot, RunningProxy]]:
    """A call to the server, which wants a secret."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    words = ("--authorization-file", str(secret), *["--beta"] * beta)
    async with (
        running_bot("realtime_bot", tmp_path, TO_SERVER_BETA if beta else TO_SERVER, *words) as bot,
        bots.calling(
            made,
            tmp_path,
            bot,
            "adapter=realtime",
            f"realtime.authorization_file={secret}",
            *["realtime.dialect=beta"] * beta,
            *settings,
            **options,
        ) as (call, proxy),
    ):
        yield call, bot, proxy


def in_codec(codec: Codec, pcm16: bytes) -> bytes:
    return g711.pcm16_to_mulaw(pcm16) if codec is Codec.PCMU_8K else pcm16


def linear(codec: Codec, codec_bytes: bytes) -> bytes:
    return g711.mulaw_to_pcm16(codec_bytes) if codec is Codec.PCMU_8K else codec_bytes


def appended(heard: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(event["audio"]) for event in heard if "audio" in event)


@pytest.mark.parametrize(
    ("codec", "frame_ms", "beta", "distance"),
    [(Codec.PCMU_8K, 20, False, 32), (Codec.PCM16_48K, 20, False, 55), (Codec.PCM16_16K, 60, True, 55)],
)
async def test_audio_is_right_both_ways(  # noqa: PLR0913  pytest hands them over
    made: Path, tmp_path: Path, codec: Codec, frame_ms: int, *, beta: bool, distance: int
) -> None:
    rate = codec.sample_rate
    said = in_codec(codec, tone(HERTZ, rate, 0.96) + bytes(2 * round(rate * 0.6)))
    enough = codec.frame_bytes(10) * 96
    async with calling(made, tmp_path, beta=beta, codec=codec, frame_ms=frame_ms) as (call, bot, proxy):
        back = await converse(call, said, codec.frame_bytes(frame_ms), frame_ms, enough)
    heard = bot.heard()
    assert [event["type"] for event in heard] == ["session.update", *["input_audio_buffer.append"] * (len(heard) - 1)]
    for pcm16, at in ((appended(heard), 24_000), (linear(codec, back), rate)):
        amplitude, below = heard_tone(pcm16[: 2 * round(at * 0.96)], HERTZ, at)
        assert amplitude == pytest.approx(12_000, rel=0.02)
        assert below > distance
    assert proxy.events("backend.lost") == []


async def test_a_greeting_that_is_broken_in_on(made: Path, tmp_path: Path) -> None:
    async with calling(made, tmp_path, "realtime.speaks_first=true", codec=Codec.PCM16_24K) as (call, bot, proxy):
        for _ in range(40):
            await next_of(call, Audio)
        loud = tone(HERTZ, 24_000, 0.02)
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                while True:
                    await call.send(loud)
                    await trio.sleep(0.02)

            nursery.start_soon(speak)
            await next_of(call, Clear)
            nursery.cancel_scope.cancel()
        await trio.sleep(0.2)
    told = [event for event in bot.heard() if event["type"] != "input_audio_buffer.append"]
    assert [event["type"] for event in told] == ["session.update", "response.create", "conversation.item.truncate"]
    assert 300 <= told[2]["audio_end_ms"] <= 4_000
    assert SECRET not in str(proxy.events())
    assert proxy.events("backend.lost") == []
