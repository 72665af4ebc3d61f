"""A server for OpenAI's Realtime dialect, written only from the vendor's documented events: a parrot.

    python -m loadtest.backends.realtime_bot --port 9000

It knows nothing of this project, and nothing of language.  Once a speaker has been silent for 0.3 s it says back what
was said, all at once, as a model does that makes audio faster than it is played.  Asked for a response by
`response.create` it says five seconds of a tone.  It hears a speaker begin (`input_audio_buffer.speech_started`), so it
can be broken in on.  `--beta` has it use the names of the beta.

The vendor's pages: https://platform.openai.com/docs/api-reference/realtime-client-events and …/realtime-server-events.
The first line on stdout is the server's URL.  With `--record FILE` each event that it gets becomes a line of JSON; with
`--authorization-file FILE` whoever does not bring what is in it is refused.  With `--stop-with-stdin` it ends when its
standard input does.  Not for production.
"""

import argparse
import base64
import hmac
import json
import math
import os
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer, serve_websocket

LOUD = 500
"""The least sample that is speech."""
SILENT_SECONDS = 0.3
"""Of silence end what was said."""
DELTA_SECONDS = 0.2
TONE_SECONDS = 5
TONE_HERTZ = 500
MAX_MESSAGE_BYTES = 15 << 20
_MAX_PORT = 65_535


class Session:
    """One call: what was heard of a speaker, and the events that answer."""

    def __init__(self, socket: WebSocketConnection, *, beta: bool) -> None:
        """Speak on `socket`."""
        self._socket = socket
        self._audio = "response.audio" if beta else "response.output_audio"
        self._rate = 24_000
        self._numbers = count(1)
        self._heard_bytes = 0
        self._speech = b""
        self._silent_bytes = 0
        self._item = ""

    async def begin(self) -> None:
        """Say that there is a session."""
        await self._send("session.created", session={"type": "realtime"})

    async def take(self, event: dict[str, Any]) -> None:
        """Take an event and answer it."""
        match event:
            case {"type": "session.update", "session": session}:
                audio = session.get("audio", {}).get("input", {}).get("format", {})
                self._rate = audio.get("rate", 24_000)
                await self._send("session.updated", session=session)
            case {"type": "input_audio_buffer.append", "audio": audio}:
                await self._hear(base64.b64decode(audio, validate=True))
            case {"type": "response.create"}:
                await self._say(_tone(self._rate))
            case {"type": "conversation.item.truncate", "item_id": item, "audio_end_ms": end}:
                await self._send("conversation.item.truncated", item_id=item, content_index=0, audio_end_ms=end)
            case {"type": "response.cancel"}:
                await self._fail("response_cancel_not_active", "There is no response to cancel.", event)
            case _:
                await self._fail("invalid_value", "There is no such event here.", event)

    async def _hear(self, pcm16: bytes) -> None:
        before, self._heard_bytes = self._heard_bytes, self._heard_bytes + len(pcm16)
        is_loud = max(map(abs, array("h", pcm16)), default=0) >= LOUD
        if is_loud and not self._speech:
            self._item = self._id("item")
            started = 1000 * before // (2 * self._rate)
            await self._send("input_audio_buffer.speech_started", item_id=self._item, audio_start_ms=started)
        if not is_loud and not self._speech:
            return
        self._speech += pcm16
        self._silent_bytes = 0 if is_loud else self._silent_bytes + len(pcm16)
        if self._silent_bytes < SILENT_SECONDS * 2 * self._rate:
            return
        speech, self._speech, self._silent_bytes = self._speech, b"", 0
        ended = 1000 * self._heard_bytes // (2 * self._rate)
        await self._send("input_audio_buffer.speech_stopped", item_id=self._item, audio_end_ms=ended)
        await self._send("input_audio_buffer.committed", item_id=self._item, previous_item_id=None)
        await self._say(speech)

    async def _say(self, pcm16: bytes) -> None:
        response, item = self._id("resp"), self._id("item")
        part = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        await self._send("response.created", response={"id": response, "status": "in_progress", "output": []})
        step = 2 * round(self._rate * DELTA_SECONDS)
        for at in range(0, len(pcm16), step):
            await self._send(f"{self._audio}.delta", **part, delta=base64.b64encode(pcm16[at : at + step]).decode())
            await self._send(f"{self._audio}_transcript.delta", **part, delta="squawk ")
        await self._send(f"{self._audio}.done", **part)
        await self._send("response.done", response={"id": response, "status": "completed", "output": []})
        await self._send("rate_limits.updated", rate_limits=[{"name": "requests", "limit": 9, "remaining": 8}])

    async def _fail(self, code: str, message: str, event: dict[str, Any]) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        await self._send("error", error=error | {"event_id": event.get("event_id")})

    async def _send(self, kind: str, **members: object) -> None:
        await self._socket.send_message(json.dumps({"type": kind, "event_id": self._id("event"), **members}))

    def _id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"


def _tone(rate: int) -> bytes:
    turn = 2 * math.pi * TONE_HERTZ / rate
    return array("h", [round(8_000 * math.sin(turn * at)) for at in range(TONE_SECONDS * rate)]).tobytes()


class Bot:
    """Serves sessions; `recording` gets a line for each event; `secret` is what callers have to bring."""

    def __init__(self, *, recording: BinaryIO | None, secret: str | None, beta: bool) -> None:
        """Record and ask for a secret if so wished."""
        self._recording = recording
        self._secret = secret
        self._beta = beta

    async def serve(self, request: WebSocketRequest) -> None:
        """Accept one WebSocket and hold its session to the end."""
        brought = dict(request.headers).get(b"authorization", b"")
        if self._secret is not None and not hmac.compare_digest(brought, f"Bearer {self._secret}".encode()):
            await request.reject(401)
            return
        socket = await request.accept()
        session = Session(socket, beta=self._beta)
        with suppress(ConnectionClosed):  # the call is over
            await session.begin()
            while True:
                event = json.loads(await socket.get_message())
                if self._recording is not None:
                    self._recording.write(json.dumps(event).encode() + b"\n")
                await session.take(event)


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
    await serve_websocket(
        bot.serve, host, port, ssl_context=None, max_message_size=MAX_MESSAGE_BYTES, task_status=task_status
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run until interrupted.  What cannot be had is one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.backends.realtime_bot", description="A parrot for OpenAI's Realtime dialect."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9000, help="port; 0 takes a free one (default: 9000)")
    parser.add_argument("--beta", action="store_true", help="use the names of events that the beta had")
    parser.add_argument("--authorization-file", type=Path, metavar="FILE", help="refuse who does not bring this secret")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append what is heard, a JSON object a line")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args(words)
    if not 0 <= arguments.port <= _MAX_PORT:  # the system would take it modulo 65 536
        parser.error(f"--port {arguments.port}: is no port; give one up to {_MAX_PORT} (0 takes a free one)")
    try:
        recording = arguments.record.open("ab", buffering=0) if arguments.record else None
        secret = arguments.authorization_file.read_text().strip() if arguments.authorization_file else None
    except OSError as error:
        return _complain(f"{error}; --record and --authorization-file need files that can be used")
    status = 0
    try:
        trio.run(run, arguments, Bot(recording=recording, secret=secret, beta=arguments.beta))
    except* KeyboardInterrupt:
        pass  # The way to end it by hand.
    except* OSError as errors:
        status = _complain(f"{errors.exceptions[0]}; choose another --host or --port (0 takes a free one)")
    return status


def _complain(line: str) -> int:
    sys.stderr.write(f"realtime_bot: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
