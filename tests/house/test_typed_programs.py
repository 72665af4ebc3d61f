"""A user's program, in strict mypy: every item of a call has its case, and no name is unknown."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import asyncio
from typing import assert_never

import trio

import sottovoce.backend.asyncio as on_asyncio
import sottovoce.backend.trio as on_trio
from sottovoce import backend
from sottovoce.client import Audio, Call, CallError, Clear, Data, Dtmf, Ended, Json, Mark, Mute, calls, connect, sync


async def listen(call: Call) -> int:
    heard = 0
    async for item in call:
        match item:
            case Audio(payload=frame, lost_before=lost):
                heard += len(frame) + lost
            case Mark(name=name):
                await call.mark_played(name.lower())
            case Json(value=value):
                print(value.get("a"))
            case Dtmf(event=event):
                print(event + 1)
            case Data(payload=data):
                await call.send_data(data)
            case Mute() | Clear():
                pass
            case Ended(reason=reason):
                print(reason.upper())
            case _:
                assert_never(item)
    return heard


async def main() -> None:
    async with connect("wss://localhost/echo", anchor="anchor.json") as call:
        print(await listen(call) + call.statistics.frames_received)
    async for leg in calls("wss://localhost/echo", anchor="anchor.json", ca=b""):
        try:
            async with leg as call:
                await call.send(b"", end_of_turn=True)
        except CallError as error:
            print(leg.reason, error)


def blocking() -> None:
    with sync.connect("wss://localhost/echo", anchor="anchor.json") as call:
        for item in call:
            match item:
                case Audio() | Mark() | Json() | Dtmf() | Data() | Mute() | Clear() | Ended():
                    print(item)
                case _:
                    assert_never(item)


async def bot(call: backend.Call) -> None:
    async for item in call:
        match item:
            case backend.Audio() | backend.Data():
                await call.send(item)
            case backend.Dtmf(event=event, duration_ms=duration):
                await call.dtmf(event, duration)
            case backend.MarkPlayed(name=name):
                await call.mark(name)
            case backend.Mute(muted=muted):
                await call.json({"muted": muted})
            case backend.Json(value=value):
                await call.json(value)
            case backend.Ended(statistics=statistics):
                print(statistics and statistics.seconds)
            case _:
                assert_never(item)


if __name__ == "__main__":
    asyncio.run(main())
    blocking()
    asyncio.run(on_asyncio.serve(bot, "127.0.0.1", 9000, max_calls=3, ready=print))
    asyncio.run(backend.serve(bot, "127.0.0.1", 9000, certificate_file="a", key_file="b"))
    trio.run(on_trio.serve, bot, "127.0.0.1", 9000)
"""


def test_a_users_program_is_clean_in_strict_mypy(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    words = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", _ROOT / ".mypy_cache", program)
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
