"""A complete `raw` backend in a process of its own: `python -m sottovoce.relay.demo_backend --port 0`.

It echoes audio, dtmf and json, and can set marks and record what it hears.  It stands on trio-websocket, of which the
proxy uses nothing, and knows the contract only by `docs/backend-raw.md`: so it is an independent peer in tests, the
backend of `sottovoce demo`, and an example to copy from.  Not for production: it trusts whoever connects.

The first line on stdout is its URL.  With `--record FILE` each message becomes one line of JSON: `session_id` and
`audio` (base64) or `text`.  With `--stop-with-stdin` it ends when its standard input does, that is, with its parent.
"""

import argparse
import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer, serve_websocket

MAX_MESSAGE_BYTES = 65_536
_MAX_PORT = 65_535


class EchoBackend:
    """Serves calls; `recording` gets a line for each message, or is None."""

    def __init__(self, recording: BinaryIO | None = None, mark_every_frames: int = 0) -> None:
        """Set a mark behind every so many frames; 0: none."""
        self._recording = recording
        self._mark_every_frames = mark_every_frames

    async def serve_call(self, request: WebSocketRequest) -> None:
        """Accept one WebSocket and hold its call to the end."""
        socket = await request.accept()
        try:
            start = json.loads(await socket.get_message())
            self._record(start["session_id"], start)
            if start["codec"] != start["reply_codec"] or start["rate"] != start["reply_rate"]:
                await _send(socket, {"type": "stop", "reason": "an echo cannot translate between codecs"})
            await self._echo(socket, start["session_id"])
        except ConnectionClosed:
            pass  # The proxy is gone without `stop`: the call is truncated, and there is nobody left to echo to.

    async def _echo(self, socket: WebSocketConnection, session_id: str) -> None:
        frames = 0
        while True:
            message = await socket.get_message()
            self._record(session_id, message if isinstance(message, bytes) else json.loads(message))
            if isinstance(message, bytes):
                await socket.send_message(message)
                frames += 1
                if self._mark_every_frames and frames % self._mark_every_frames == 0:
                    await _send(socket, {"type": "mark", "name": f"frame {frames}"})
                continue
            match json.loads(message)["type"]:
                case "dtmf" | "json":
                    await socket.send_message(message)
                case "stop":
                    return
                case _:
                    pass

    def _record(self, session_id: str, message: bytes | dict[str, object]) -> None:
        if self._recording is None:
            return
        heard = {"audio": base64.b64encode(message).decode()} if isinstance(message, bytes) else {"text": message}
        self._recording.write(json.dumps({"session_id": session_id, **heard}).encode() + b"\n")


async def serve(arguments: argparse.Namespace, backend: EchoBackend) -> None:
    """Listen, print the URL, serve until cancelled or, if so wished, until standard input ends."""
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(_listen, backend, arguments.host, arguments.port)
        host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        sys.stdout.write(f"ws://{host}:{server.port}/\n")
        sys.stdout.flush()
        if arguments.stop_with_stdin:
            await _until_stdin_ends()
            nursery.cancel_scope.cancel()


async def _listen(backend: EchoBackend, host: str, port: int, *, task_status: trio.TaskStatus[WebSocketServer]) -> None:
    await serve_websocket(
        backend.serve_call,
        host,
        port,
        ssl_context=None,
        max_message_size=MAX_MESSAGE_BYTES,
        task_status=task_status,
    )


async def _send(socket: WebSocketConnection, message: dict[str, object]) -> None:
    await socket.send_message(json.dumps(message))


async def _until_stdin_ends() -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
        while await stdin.receive_some(1024):
            pass


def main(words: Sequence[str] | None = None) -> int:
    """Run until interrupted.  A port that cannot be had is one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m sottovoce.relay.demo_backend", description="An echoing raw backend."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9000, help="port; 0 takes a free one (default: 9000)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append what is heard, a JSON object a line")
    parser.add_argument("--mark-every", type=int, default=0, metavar="N", help="set a mark behind every N-th frame")
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
        trio.run(serve, arguments, EchoBackend(recording, arguments.mark_every))
    except* KeyboardInterrupt:
        pass  # The way to end it by hand.
    except* OSError as errors:
        status = _complain(f"{errors.exceptions[0]}; choose another --host or --port (0 takes a free one)")
    return status


def _complain(line: str) -> int:
    sys.stderr.write(f"demo_backend: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
