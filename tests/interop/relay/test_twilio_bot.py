"""Calls through a running proxy to a bot that was written from Twilio's documented messages alone."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.client import Audio, Call, Clear, Ended, Mark, PolicyRefused
from sottovoce.relay import g711
from sottovoce.wire import Codec
from tests.interop.relay import bots
from tests.interop.relay.bots import RunningBot, converse, next_of, running_bot
from tests.relay.twilio.stream import TO_BOT
from tests.running import RunningProxy, make_directory

pytestmark = pytest.mark.interop(tool="softhsm2-util")
SPEECH = bytes(range(256)) * 25
"""40 frames of 20 ms that have every code word."""
METADATA = {"language": "en", "tries": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("twilio"))


@asynccontextmanager
async def calling(made: Path, tmp_path: Path, **options: Any) -> AsyncGenerator[tuple[Call, RunningBot, RunningProxy]]:
    """A call to the bot."""
    async with (
        running_bot("twilio_bot", tmp_path, TO_BOT) as bot,
        bots.calling(made, tmp_path, bot, "adapter=twilio", **options) as (call, proxy),
    ):
        yield call, bot, proxy


def for_client(codec: Codec, mulaw: bytes) -> bytes:
    match codec:
        case Codec.PCMA_8K:
            return g711.mulaw_to_alaw(mulaw)
        case Codec.PCM16_8K:
            return g711.mulaw_to_pcm16(mulaw)
        case _:
            return mulaw


def for_bot(codec: Codec, codec_bytes: bytes) -> bytes:
    match codec:
        case Codec.PCMA_8K:
            return g711.alaw_to_mulaw(codec_bytes)
        case Codec.PCM16_8K:
            return g711.pcm16_to_mulaw(codec_bytes)
        case _:
            return codec_bytes


@pytest.mark.parametrize(
    ("codec", "frame_ms"),
    [(Codec.PCMU_8K, 20), (Codec.PCMA_8K, 20), (Codec.PCM16_8K, 20), (Codec.PCMU_8K, 10), (Codec.PCM16_8K, 60)],
)
async def test_audio_is_right_both_ways(made: Path, tmp_path: Path, codec: Codec, frame_ms: int) -> None:
    said = for_client(codec, SPEECH[: 8 * 60 * 13])
    frame_bytes = codec.frame_bytes(frame_ms)
    async with calling(made, tmp_path, codec=codec, frame_ms=frame_ms, metadata=METADATA) as (call, bot, _):
        back = await converse(call, said, frame_bytes, frame_ms, len(said))
    heard = bot.heard()
    media = [message for message in heard if message["event"] == "media"]
    assert [message["event"] for message in heard] == ["connected", "start", *["media"] * len(media), "stop"]
    assert heard[1]["start"]["customParameters"] == {"language": "en"}
    assert [message["sequenceNumber"] for message in heard[1:]] == [str(number) for number in range(1, len(heard))]
    assert [int(message["media"]["timestamp"]) for message in media] == list(range(0, 20 * len(media), 20))
    bot_heard = b"".join(base64.b64decode(message["media"]["payload"]) for message in media)
    assert bot_heard == for_bot(codec, said)
    assert back == for_client(codec, bot_heard)


async def test_keys_marks_clear_and_the_end(made: Path, tmp_path: Path) -> None:
    async with calling(made, tmp_path, codec=Codec.PCMU_8K) as (call, bot, proxy):
        await call.dtmf(5)
        mark = await next_of(call, Mark)
        assert mark.name == "1:key 5"
        await call.mark_played(mark)

        began = trio.current_time()
        await call.dtmf(0)  # two seconds of a tone, in one message
        tone = [(await next_of(call, Audio)).payload for _ in range(40)]
        assert b"".join(tone) == bytes.fromhex("1e0b0b1e9e8b8b9e") * 800
        assert trio.current_time() - began >= 0.3  # 40 frames are 0.8 s, of which 0.4 come ahead
        await call.dtmf(10)  # clear, in its midst
        await next_of(call, Clear)

        await call.dtmf(11)
        goodbye = await next_of(call, Mark)
        assert goodbye.name.endswith(":goodbye")  # the tone's mark came back at the bot, and never here
        await call.mark_played(goodbye)
        ended = await next_of(call, Ended)
        assert (ended.code, ended.truncated) == (1000, False)
    heard = [message for message in bot.heard() if message["event"] != "media"]
    assert [message["event"] for message in heard] == [
        "connected", "start", "dtmf", "mark", "dtmf", "dtmf", "mark", "dtmf", "mark"
    ]  # fmt: skip
    assert [message["dtmf"]["digit"] for message in heard if "dtmf" in message] == ["5", "0", "*", "#"]
    assert [message["mark"]["name"] for message in heard if "mark" in message] == ["key 5", "tone ends", "goodbye"]
    assert proxy.events("backend.lost") == []


async def test_a_codec_that_cannot_be_converted_is_not_agreed_on(made: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="codecs"):
        async with calling(made, tmp_path, codec=Codec.PCM16_16K):
            pass
