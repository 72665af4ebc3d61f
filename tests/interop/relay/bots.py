"""Example backends as processes of their own, and calls to them by way of a running proxy."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from sottovoce.client import Call, connect, trust_from_directory
from tests.running import ROOMY, RunningProxy, copy_directory, running_proxy


class RunningBot:
    """A bot of `loadtest.backends`, which records what it gets; `schema` is held against each message."""

    def __init__(self, url: str, record: Path, schema: Any) -> None:
        self.url = url
        self._record = record
        self._schema = schema

    def heard(self) -> list[dict[str, Any]]:
        """Every message that it got."""
        messages = [json.loads(line) for line in self._record.read_text().splitlines()]
        for message in messages:
            self._schema.validate(message)
        return messages


@asynccontextmanager
async def running_bot(name: str, directory: Path, schema: Any, *words: str) -> AsyncGenerator[RunningBot]:
    record = directory / "heard.jsonl"
    process = await trio.lowlevel.open_process(
        [
            *(sys.executable, "-m", f"loadtest.backends.{name}", "--port", "0"),
            *("--record", str(record), "--stop-with-stdin", *words),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        with trio.fail_after(60):
            url = b""
            while not url.endswith(b"\n"):
                url += await process.stdout.receive_some()
        yield RunningBot(url.decode().strip(), record, schema)
        await process.stdin.aclose()
        with trio.fail_after(60):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


@asynccontextmanager
async def calling(
    made: Path, tmp_path: Path, bot: RunningBot, *settings: str, **options: Any
) -> AsyncGenerator[tuple[Call, RunningProxy]]:
    """A call to the bot, by way of a proxy whose route to it has these settings (`adapter=twilio`)."""
    directory = copy_directory(made, tmp_path)
    words = [f"routes.bot.{setting}" for setting in (*settings, f"url={bot.url}", "queue_frames=1000")]
    with running_proxy(directory, *words, ROOMY) as proxy:
        trust = trust_from_directory(directory)
        with trio.fail_after(60):
            async with connect(f"{proxy.url}/bot", anchor=trust.anchors, ca=trust.ca, **options) as call:
                yield call, proxy


async def next_of(call: Call, kind: type[Any]) -> Any:
    """The next item of this kind."""
    async for item in call:
        if isinstance(item, kind):
            return item
    raise AssertionError("the call ended")


async def converse(call: Call, said: bytes, frame_bytes: int, frame_ms: int, enough: int) -> bytes:
    """Say it all in real time; give so many bytes of what comes back."""
    back = b""
    async with trio.open_nursery() as nursery:

        async def speak() -> None:
            for at in range(0, len(said), frame_bytes):
                await call.send(said[at : at + frame_bytes])
                await trio.sleep(frame_ms / 1000)

        nursery.start_soon(speak)
        async for item in call:
            back += getattr(item, "payload", b"")
            if len(back) >= enough:
                break
    return back
