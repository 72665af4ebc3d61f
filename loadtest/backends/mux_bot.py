"""A bot whose calls share one connection for each process of the proxy, on the library `sottovoce.backend`.

    python -m loadtest.backends.mux_bot --port 9000
    python -m loadtest.backends.mux_bot --path /run/bot.sock

It says back what it hears, frame by frame, and answers keys:

    0        says two seconds of a tone and sets the mark "tone ends" behind them
    *        interrupts itself: clear
    #        hangs up
    others   come back

The same handler serves `raw` without a word changed: leave out `adapter="mux"`.  The contract is docs/backend-mux.md.
The first line on stdout is the bot's URL.  With `--record FILE` each item that it hears becomes a line of JSON.  With
`--stop-with-stdin` it ends when its standard input does.  Not for production: it trusts whoever connects.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import trio

from sottovoce.backend.trio import Audio, Call, CannotListen, Data, Dtmf, Item, Json, Start, serve

TONE_SECONDS = 2
_TONE_HERTZ = 1_000
_MILLIWATT = bytes.fromhex("1e0b0b1e9e8b8b9e")
"""Eight samples of µ-law: 1 kHz at 0 dBm0."""
_PCMA_MILLIWATT = bytes.fromhex("34212134b4a1a1b4")


class Bot:
    """Holds calls; `recording` gets a line for each item, or is None."""

    def __init__(self, recording: BinaryIO | None = None) -> None:
        """Record if so wished."""
        self._recording = recording

    async def hold(self, call: Call) -> None:
        """Hold one call to its end."""
        self._record(call.start, call.start)
        async for item in call:
            self._record(call.start, item)
            match item:
                case Audio() | Data():
                    await call.send(item)
                case Json(value):
                    await call.json(value)
                case Dtmf(0):
                    for frame in tone(call.start):
                        await call.send(frame)
                    await call.mark("tone ends")
                case Dtmf(10):
                    await call.clear()
                case Dtmf(11):
                    await call.hang_up("the key #")
                case Dtmf(event, duration_ms):
                    await call.dtmf(event, duration_ms)
                case _:
                    pass

    def _record(self, start: Start, item: Start | Item) -> None:
        if self._recording is not None:
            match item:
                case Audio(payload) | Data(payload):
                    told: object = payload.hex()
                case _:
                    told = repr(item)
            line = {"session_id": start.session_id, "item": type(item).__name__, "told": told}
            self._recording.write(json.dumps(line).encode() + b"\n")


def tone(start: Start) -> Iterator[bytes]:
    """Give frames of a tone in the codec that the client hears; none where that is Opus."""
    periods = {"pcmu": _MILLIWATT, "pcma": _PCMA_MILLIWATT, "pcm16": _sine(start.reply_rate)}
    if (period := periods.get(start.reply_codec)) is None or not start.reply_frame_bytes:
        return
    sound = period * (start.reply_frame_bytes // len(period) + 1)
    for _ in range(TONE_SECONDS * 1000 // start.frame_ms):
        yield sound[: start.reply_frame_bytes]


def _sine(rate: int) -> bytes:
    """One period of a tone, linear samples."""
    samples = rate // _TONE_HERTZ
    values = (round(16_000 * math.sin(2 * math.pi * index / samples)) for index in range(samples))
    return b"".join(value.to_bytes(2, "little", signed=True) for value in values)


async def run(arguments: argparse.Namespace, bot: Bot) -> None:
    """Listen, print the URL, serve until cancelled or, if so wished, until standard input ends."""
    host = f"unix:{arguments.path}" if arguments.path else arguments.host
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, bot.hold, host, arguments.port, adapter="mux", ready=_say))
        if arguments.stop_with_stdin:
            async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
                while await stdin.receive_some(1024):
                    pass
            nursery.cancel_scope.cancel()


def main(words: Sequence[str] | None = None) -> int:
    """Run until interrupted.  What cannot be had is one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.backends.mux_bot", description="A bot for adapter mux that echoes."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9000, help="port; 0 takes a free one (default: 9000)")
    parser.add_argument("--path", metavar="FILE", help="listen on a socket of this path instead")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append what is heard, a JSON object a line")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args(words)
    try:
        recording = arguments.record.open("ab", buffering=0) if arguments.record else None
    except OSError as error:
        return _complain(f"{error}; --record needs a file that can be written")
    status = 0
    try:
        trio.run(run, arguments, Bot(recording))
    except* KeyboardInterrupt:
        pass  # The way to end it by hand.
    except* CannotListen as errors:
        status = _complain(str(errors.exceptions[0]))
    return status


def _say(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def _complain(line: str) -> int:
    sys.stderr.write(f"mux_bot: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
