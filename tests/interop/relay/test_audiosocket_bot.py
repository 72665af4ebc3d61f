"""Calls through a running proxy to a server that was written from AudioSocket's documented messages alone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.client import Audio, Call, Dtmf, Ended
from sottovoce.relay import g711
from sottovoce.wire import Codec
from tests.interop.relay import bots
from tests.interop.relay.bots import RunningBot, converse, next_of, running_bot
from tests.relay.audiosocket.socket import TO_SERVER, sound_of
from tests.running import RunningProxy, make_directory

pytestmark = pytest.mark.interop(tool="softhsm2-util")
SAMPLES = bytes(range(256)) * 225
"""A recording that has every byte in either half of a sample: what is heard otherwise shows."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("audiosocket"))


@asynccontextmanager
async def calling(
    made: Path, tmp_path: Path, *settings: str, **options: Any
) -> AsyncGenerator[tuple[Call, RunningBot, RunningProxy]]:
    """A call to the server."""
    async with (
        running_bot("audiosocket_bot", tmp_path, TO_SERVER) as bot,
        bots.calling(made, tmp_path, bot, "adapter=audiosocket", *settings, **options) as (call, proxy),
    ):
        yield call, bot, proxy


def linear(codec: Codec, codec_bytes: bytes) -> bytes:
    match codec:
        case Codec.PCMU_8K:
            return g711.mulaw_to_pcm16(codec_bytes)
        case Codec.PCMA_8K:
            return g711.alaw_to_pcm16(codec_bytes)
        case _:
            return codec_bytes


@pytest.mark.parametrize(
    ("codec", "frame_ms"),
    [(Codec.PCMU_8K, 20), (Codec.PCMA_8K, 60), (Codec.PCM16_16K, 20)],
)
async def test_audio_is_right_both_ways(made: Path, tmp_path: Path, codec: Codec, frame_ms: int) -> None:
    frame_bytes = codec.frame_bytes(frame_ms)
    said = SAMPLES[: frame_bytes * (600 // frame_ms)]
    wide = "audiosocket.rates=[8000, 16000, 24000, 48000]"
    async with calling(made, tmp_path, wide, codec=codec, frame_ms=frame_ms) as (call, bot, _):
        back = await converse(call, said, frame_bytes, frame_ms, len(said))
    heard = bot.heard()
    kind = {8_000: 0x10, 16_000: 0x12}[codec.sample_rate]
    assert [message["type"] for message in heard] == [1, *[kind] * (len(heard) - 2), 0]
    assert {len(message["payload"]) for message in heard[1:-1]} == {2 * 2 * codec.sample_rate // 50}
    assert sound_of(heard) == linear(codec, said)
    assert linear(codec, back) == linear(codec, said)  # µ-law has two zeros, linear samples one


async def test_keys_a_tone_and_the_end(made: Path, tmp_path: Path) -> None:
    async with calling(made, tmp_path, codec=Codec.PCM16_8K) as (call, bot, proxy):
        await call.dtmf(5)
        assert (await next_of(call, Dtmf)).event == 5
        began = trio.current_time()
        await call.dtmf(0)  # two seconds of a tone, in one message
        tone = b"".join([(await next_of(call, Audio)).payload for _ in range(40)])
        assert tone == tone[:16] * 800
        assert trio.current_time() - began >= 0.3  # 40 frames are 0.8 s, of which 0.4 come ahead
        await call.dtmf(11)
        ended = await next_of(call, Ended)
        assert (ended.code, ended.truncated) == (1000, False)
    heard = bot.heard()
    assert [message["type"] for message in heard][:4] == [1, 3, 3, 3]
    assert heard[0]["payload"][12] == "8"
    assert proxy.events("backend.lost") == []
