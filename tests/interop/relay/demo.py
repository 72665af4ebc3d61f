"""`demo_backend` as a process of its own."""

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

COMMAND = [sys.executable, "-m", "sottovoce.relay.demo_backend"]


class Demo:
    """A running backend."""

    def __init__(self, process: trio.Process, url: str, record: Path) -> None:
        self.process = process
        self.url = url
        self._record = record

    def heard(self, session_id: bytes | None = None) -> list[bytes | dict[str, Any]]:
        """What it recorded, of one call or of all: audio as bytes, texts as objects."""
        lines = [json.loads(line) for line in self._record.read_text().splitlines()]
        return [
            b64decode(line["audio"]) if "audio" in line else line["text"]
            for line in lines
            if session_id is None or line["session_id"] == session_id.hex()
        ]


@asynccontextmanager
async def demo_backend(directory: Path, *words: str) -> AsyncGenerator[Demo]:
    """Run it until the block is left; it must then end by itself, since its standard input does."""
    record = directory / "heard.jsonl"
    process = await trio.lowlevel.open_process(
        [*COMMAND, "--port", "0", "--record", str(record), "--stop-with-stdin", *words],
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
        yield Demo(process, url.decode().strip(), record)
        await process.stdin.aclose()
        with trio.fail_after(60):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()
