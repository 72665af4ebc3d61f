"""Calls through a running proxy to the example bot: several on one connection, and the process's end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loadtest.backends.mux_bot import TONE_SECONDS, main
from sottovoce.client import Call, Dtmf, Ended, Mark
from sottovoce.wire import Codec
from tests.interop.relay import bots
from tests.interop.relay.bots import RunningBot, converse, next_of, running_bot
from tests.running import make_directory

pytestmark = pytest.mark.interop(tool="softhsm2-util")
SAMPLES = bytes(range(256)) * 40
ITEM = jsonschema.Draft202012Validator({"type": "object", "required": ["session_id", "item", "told"]})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("mux"))


@asynccontextmanager
async def calling(made: Path, tmp_path: Path, *words: str, **options: Any) -> AsyncGenerator[tuple[Call, RunningBot]]:
    async with (
        running_bot("mux_bot", tmp_path, ITEM, *words) as bot,
        bots.calling(made, tmp_path, bot, "adapter=mux", **options) as (call, _),
    ):
        yield call, bot


@pytest.mark.parametrize("where", ["tcp", "unix"])
async def test_a_call(made: Path, tmp_path: Path, where: str) -> None:
    words = ("--path", str(tmp_path / "bot.sock")) if where == "unix" else ()
    async with calling(made, tmp_path, *words, codec=Codec.PCM16_16K) as (call, bot):
        assert bot.url.startswith(where)
        assert await converse(call, SAMPLES, 640, 20, len(SAMPLES)) == SAMPLES
        await call.dtmf(5, 100)
        key = await next_of(call, Dtmf)
        assert (key.event, key.duration_ms) == (5, 100)
        await call.dtmf(0, 100)
        tone = 0
        async for item in call:
            if isinstance(item, Mark):
                await call.mark_played(item.name)
                break
            tone += len(getattr(item, "payload", b""))
        assert tone == TONE_SECONDS * 32_000
        await call.dtmf(11, 100)
        ended = await next_of(call, Ended)
        assert ended.code == 1000
    heard = bot.heard()
    assert "MarkPlayed" in {each["item"] for each in heard}
    assert bytes.fromhex("".join(each["told"] for each in heard if each["item"] == "Audio")) == SAMPLES


def test_what_it_cannot_have_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--record", str(tmp_path / "no" / "file")]) == 1
    assert main(["--port", "99999"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["mux_bot"] * 2
