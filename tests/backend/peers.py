"""What stands in for a proxy in tests of the shells: a WebSocket client that blocks."""

import json
import socket
import struct
from contextlib import suppress
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from sottovoce.backend import Audio, Call, Dtmf
from tests.backend.proxies import START, STOP
from tests.backend.servers import WAIT_SECONDS, Server

START_TEXT, STOP_TEXT = json.dumps(START), json.dumps(STOP)
KEY = json.dumps({"type": "dtmf", "event": 5, "duration_ms": 160})

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def stop(peer: ClientConnection) -> None:
    peer.send(STOP_TEXT)
    peer.close()


def break_off(peer: ClientConnection) -> None:
    """Have TCP say RST, in the midst of whatever goes on."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.shutdown(socket.SHUT_RD)
    peer.socket.close()


def close_code(peer: ClientConnection) -> int:
    """Read to the end; give the code of the close."""
    try:
        while True:
            peer.recv(WAIT_SECONDS)
    except ConnectionClosed as closed:
        return 1006 if closed.rcvd is None else closed.rcvd.code


class Raw:
    """A peer that does what no WebSocket library would: it writes bytes, and need not read any."""

    def __init__(self, server: Server, *, buffer_bytes: int = 65_536) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.settimeout(WAIT_SECONDS)
        self.socket.connect(server.address)
        self.socket.sendall(UPGRADE)
        assert self.socket.recv(4096).startswith(b"HTTP/1.1 101 ")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, text: str) -> None:
        # A peer that has closed already is no matter.
        with suppress(ConnectionError):
            self.socket.sendall(self.frame(1, text.encode()))

    def read_to_the_end(self) -> None:
        with suppress(ConnectionError):
            while self.socket.recv(65_536):
                pass

    @staticmethod
    def frame(opcode: int, payload: bytes) -> bytes:
        """One frame, masked with zeros (RFC 6455 §5.2)."""
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
        return bytes([0x80 | opcode]) + size + bytes(4) + payload


def is_echoing(server: Server) -> bool:
    with server.connect() as peer:
        peer.send(START_TEXT)
        peer.send(b"still here")
        heard = peer.recv(WAIT_SECONDS)
        stop(peer)
    return heard == b"still here"


async def echo(call: Call) -> None:
    async for item in call:
        match item:
            case Audio():
                await call.send(item)
            case Dtmf(event, duration_ms):
                await call.dtmf(event, duration_ms)
            case _:
                pass
