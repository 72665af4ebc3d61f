"""A bot for Twilio Media Streams, written only from the vendor's documented messages; it knows nothing of this project.

    python -m loadtest.backends.twilio_bot --port 9000

It says back what it hears, chunk by chunk, and answers keys:

    0        says two seconds of a tone in one message, and sets the mark "tone ends" behind them
    *        interrupts itself: clear
    #        sets the mark "goodbye", and hangs up when it comes back
    others   set the mark "key N"

A bot that runs behind Twilio runs here as it is: https://www.twilio.com/docs/voice/media-streams/websocket-messages.
The first line on stdout is the bot's URL.  With `--record FILE` each message that it gets becomes a line of JSON.  With
`--stop-with-stdin` it ends when its standard input does.  Not for production: it trusts whoever connects.
"""

import argparse
import base64
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer, serve_websocket

TONE_SECONDS = 2
_MAX_PORT = 65_535
_MILLIWATT = bytes.fromhex("1e0b0b1e9e8b8b9e")
"""Eight samples of µ-law: 1 kHz at 0 dBm0."""


class Stream:
    """One stream: the socket, and the SID that every message names."""

    def __init__(self, socket: WebSocketConnection, stream_sid: str) -> None:
        """Speak on `socket`."""
        self._socket = socket
        self._stream_sid = stream_sid

    async def play(self, payload: str) -> None:
        """Say audio, base64 of µ-law."""
        await self._send("media", media={"payload": payload})

    async def mark(self, name: str) -> None:
        """Ask to be told when everything before this has been played."""
        await self._send("mark", mark={"name": name})

    async def clear(self) -> None:
        """Take back what has not been played."""
        await self._send("clear")

    async def _send(self, event: str, **members: object) -> None:
        message = {"event": event, "streamSid": self._stream_sid, **members}
        await self._socket.send_message(json.dumps(message))


class Bot:
    """Serves streams; `recording` gets a line for each message, or is None."""

    def __init__(self, recording: BinaryIO | None = None) -> None:
        """Record if so wished."""
        self._recording = recording

    async def serve(self, request: WebSocketRequest) -> None:
        """Accept one WebSocket and hold its stream to the end."""
        socket = await request.accept()
        with suppress(ConnectionClosed):  # without `stop`: there is nobody left to answer
            await self._converse(socket)

    async def _converse(self, socket: WebSocketConnection) -> None:
        stream: Stream | None = None
        while True:
            message = json.loads(await socket.get_message())
            self._record(message)
            match message["event"]:
                case "start":
                    stream = Stream(socket, message["start"]["streamSid"])
                case "stop":
                    return
                case "mark" if message["mark"]["name"] == "goodbye":
                    return  # Leaving closes the WebSocket, and that hangs up.
                case _ if stream is not None:
                    await _answer(stream, message)
                case _:
                    pass

    def _record(self, message: dict[str, Any]) -> None:
        if self._recording is not None:
            self._recording.write(json.dumps(message).encode() + b"\n")


async def _answer(stream: Stream, message: dict[str, Any]) -> None:
    match message["event"]:
        case "media":
            await stream.play(message["media"]["payload"])
        case "dtmf":
            await _press(stream, message["dtmf"]["digit"])
        case _:
            pass


async def _press(stream: Stream, digit: str) -> None:
    match digit:
        case "0":
            await stream.play(base64.b64encode(_MILLIWATT * 1000 * TONE_SECONDS).decode())
            await stream.mark("tone ends")
        case "*":
            await stream.clear()
        case "#":
            await stream.mark("goodbye")
        case _:
            await stream.mark(f"key {digit}")


async def run(arguments: argparse.Namespace, bot: Bot) -> None:
    """Listen, print the URL, serve until cancelled or, if so wished, until standard input ends."""
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(_listen, bot, arguments.host, arguments.port)
        sys.stdout.write(f"ws://{arguments.host}:{server.port}/\n")
        sys.stdout.flush()
        if arguments.stop_with_stdin:
            async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
                while await stdin.receive_some(1024):
                    pass
            nursery.cancel_scope.cancel()


async def _listen(bot: Bot, host: str, port: int, *, task_status: trio.TaskStatus[WebSocketServer]) -> None:
    await serve_websocket(bot.serve, host, port, ssl_context=None, task_status=task_status)


def main(words: Sequence[str] | None = None) -> int:
    """Run until interrupted.  What cannot be had is one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.backends.twilio_bot", description="A bot for Twilio Media Streams that echoes."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9000, help="port; 0 takes a free one (default: 9000)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append what is heard, a JSON object a line")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args(words)
    if not 0 <= arguments.port <= _MAX_PORT:  # the system would take it modulo 65 536
        parser.error(f"--port {arguments.port}: is no port; give one up to {_MAX_PORT} (0 takes a free one)")
    try:
        recording = arguments.record.open("ab", buffering=0) if arguments.record else None
    except OSError as error:
        return _complain(f"{error}; --record needs a file that can be written")
    status = 0
    try:
        trio.run(run, arguments, Bot(recording))
    except* KeyboardInterrupt:
        pass  # The way to end it by hand.
    except* OSError as errors:
        status = _complain(f"{errors.exceptions[0]}; choose another --host or --port (0 takes a free one)")
    return status


def _complain(line: str) -> int:
    sys.stderr.write(f"twilio_bot: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
