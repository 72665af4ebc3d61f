"""A server for AudioSocket, written only from Asterisk's documented messages; it knows nothing of this project.

    python -m loadtest.backends.audiosocket_bot --port 9092

It says back what it hears, message by message, and answers keys:

    0        says two seconds of a tone in one message
    *        closes the connection, which hangs up
    #        hangs up
    others   press the same key at the caller's

A server that runs behind Asterisk runs here as it is: https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/.
The first line on stdout is the server's URL.  With `--record FILE` each message that it gets becomes a line of JSON.
With `--stop-with-stdin` it ends when its standard input does.  Not for production: it trusts whoever connects.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import trio

HANG_UP, UUID, DTMF, ERROR = 0x00, 0x01, 0x03, 0xFF
HEADER_BYTES = 3
RATES = {
    0x10: 8_000, 0x11: 12_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x15: 44_100, 0x16: 48_000, 0x17: 96_000,
    0x18: 192_000,
}  # fmt: skip
TONE_SECONDS = 2
_TONE_HERTZ = 1_000
_MAX_PORT = 65_535


class Connection:
    """One call: the stream, and the type of audio that it has."""

    def __init__(self, stream: trio.SocketStream) -> None:
        """Speak on `stream`."""
        self._stream = stream
        self._unread = b""
        self.audio_kind = 0x10

    async def receive(self) -> tuple[int, bytes] | None:
        """Give the next message, type and payload; None when the connection has ended."""
        while len(self._unread) < HEADER_BYTES or len(self._unread) < self._end():
            data = await self._stream.receive_some(65_536)
            if not data:
                return None
            self._unread += data
        end = self._end()
        kind, payload = self._unread[0], self._unread[HEADER_BYTES:end]
        self._unread = self._unread[end:]
        return kind, payload

    def _end(self) -> int:
        return HEADER_BYTES + int.from_bytes(self._unread[1:HEADER_BYTES])

    async def send(self, kind: int, payload: bytes = b"") -> None:
        """Send one message."""
        await self._stream.send_all(bytes([kind]) + len(payload).to_bytes(2) + payload)

    async def tone(self) -> None:
        """Say a tone, whose samples come again and again after a millisecond; at high rates a shorter one."""
        rate = RATES[self.audio_kind]
        period = rate // _TONE_HERTZ
        wave = [round(16_000 * math.sin(2 * math.pi * index / period)) for index in range(period)]
        millisecond = b"".join(value.to_bytes(2, "little", signed=True) for value in wave)
        await self.send(self.audio_kind, millisecond * min(TONE_SECONDS * _TONE_HERTZ, 65_535 // len(millisecond)))


class Bot:
    """Serves calls; `recording` gets a line for each message, or is None."""

    def __init__(self, recording: BinaryIO | None = None) -> None:
        """Record if so wished."""
        self._recording = recording

    async def serve(self, stream: trio.SocketStream) -> None:
        """Hold one call to its end."""
        connection = Connection(stream)
        with suppress(trio.BrokenResourceError):  # there is nobody left to answer
            while (message := await connection.receive()) is not None:
                kind, payload = message
                self._record(kind, payload)
                if kind in {HANG_UP, ERROR} or not await _answer(connection, kind, payload):
                    return  # Leaving closes the connection.

    def _record(self, kind: int, payload: bytes) -> None:
        if self._recording is not None:
            self._recording.write(json.dumps({"type": kind, "payload": payload.hex()}).encode() + b"\n")


async def _answer(connection: Connection, kind: int, payload: bytes) -> bool:
    """Do what a message asks for; False when the call is over."""
    match kind, payload:
        case 0x03, b"0":
            await connection.tone()
        case 0x03, b"*":
            return False
        case 0x03, b"#":
            await connection.send(HANG_UP)
            return False
        case 0x03, key:
            await connection.send(DTMF, key)
        case _ if kind in RATES:
            connection.audio_kind = kind
            await connection.send(kind, payload)
        case _:
            pass
    return True


async def run(arguments: argparse.Namespace, bot: Bot) -> None:
    """Listen, print the URL, serve until cancelled or, if so wished, until standard input ends."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(arguments.port, host=arguments.host)
        port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, bot.serve, listeners)
        sys.stdout.write(f"tcp://{arguments.host}:{port}\n")
        sys.stdout.flush()
        if arguments.stop_with_stdin:
            async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
                while await stdin.receive_some(1024):
                    pass
            nursery.cancel_scope.cancel()


def main(words: Sequence[str] | None = None) -> int:
    """Run until interrupted.  What cannot be had is one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.backends.audiosocket_bot", description="A server for AudioSocket that echoes."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9092, help="port; 0 takes a free one (default: 9092)")
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
    sys.stderr.write(f"audiosocket_bot: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
