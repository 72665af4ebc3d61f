"""The proxy's end of `mux`: frames by name, a machine with somebody to talk to, and a peer that blocks."""

import json
import socket
import struct
from contextlib import suppress
from typing import Self

from sottovoce.backend.items import Item
from sottovoce.backend.machine import MuxCall, MuxMachine
from tests.backend.proxies import DATA_START, START, STOP
from tests.backend.servers import WAIT_SECONDS, Server

GREETING = b"SVMUX\x01\x01\n"
KINDS = {
    "open": 0x01, "opened": 0x02, "refused": 0x03,
    "audio": 0x10, "data": 0x11, "dtmf": 0x12, "mark": 0x13, "clear": 0x14, "json": 0x15, "mute": 0x16,
    "stop": 0x20, "error": 0x21, "credit": 0x22, "ping": 0x30, "pong": 0x31, "goaway": 0x32,
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}
Heard = tuple[str, int, bytes]


def frame(name: str | int, call: int, body: bytes | dict[str, object] = b"") -> bytes:
    """A frame of docs/backend-mux.md §2; an object as JSON."""
    kind = KINDS[name] if isinstance(name, str) else name
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return struct.pack(">HIB", len(data), call, kind) + data


def credit(call: int, count: int) -> bytes:
    return frame("credit", call, count.to_bytes(4))


def opening(call: int, *, data: bool = False) -> bytes:
    return frame("open", call, (DATA_START if data else START) | {"header": True})


def stopping(call: int) -> bytes:
    return frame("stop", call, STOP)


def split(data: bytes) -> tuple[list[Heard], bytes]:
    """The whole frames in front, and the rest."""
    heard: list[Heard] = []
    while len(data) >= 7:
        length, call, kind = struct.unpack_from(">HIB", data)
        if len(data) < 7 + length:
            break
        heard.append((_NAMES[kind], call, data[7 : 7 + length]))
        data = data[7 + length :]
    return heard, data


class Talk:
    """A machine, greeted, and a proxy that a test plays."""

    def __init__(self, *, busy_at: int = 1000) -> None:
        self.now = 0.0
        self.machine = MuxMachine(0.0, is_busy=lambda: self.machine.calls >= busy_at)
        assert self.machine.to_send() == GREETING
        self.machine.receive(GREETING, 0.0)

    def say(self, *frames: bytes) -> Self:
        self.machine.receive(b"".join(frames), self.now)
        return self

    def hear(self) -> list[Heard]:
        heard, rest = split(self.machine.to_send())
        assert not rest
        return heard

    def call(self, number: int = 1, *, granted: int = 100, data: bool = False) -> MuxCall:
        """A call that goes on, its beginning heard."""
        self.say(opening(number, data=data), credit(number, granted))
        (call,) = self.machine.take_begun()
        self.hear()
        return call


def items(call: MuxCall) -> list[Item]:
    return list(iter(call.take, None))


class Peer:
    """A proxy on a real socket, which blocks."""

    def __init__(self, server: Server) -> None:
        if server.url.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(WAIT_SECONDS)
            self.socket.connect(server.url.removeprefix("unix:"))
        else:
            self.socket = socket.create_connection(server.address, WAIT_SECONDS)
        self._rest = b""
        self._heard: list[Heard] = []
        self.socket.sendall(GREETING)
        while len(self._rest) < len(GREETING):
            self._rest += self.socket.recv(8)
        assert self._rest == GREETING
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *frames: bytes) -> None:
        with suppress(ConnectionError):  # a backend that has closed already is no matter
            self.socket.sendall(b"".join(frames))

    def hear(self) -> Heard:
        """The next frame."""
        while not self._heard:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._heard, self._rest = split(self._rest + data)
        return self._heard.pop(0)

    def until(self, name: str, call: int) -> Heard:
        """The next frame of this name and call; others are passed over."""
        while (heard := self.hear())[:2] != (name, call):
            pass
        return heard

    def call(self, number: int = 1, *, granted: int = 1000) -> None:
        """Have a call taken."""
        self.say(opening(number), credit(number, granted))
        assert self.hear()[:2] == ("opened", number)
        assert self.hear()[:2] == ("credit", number)

    def is_ended(self) -> bool:
        """Read to the end."""
        with suppress(EOFError, ConnectionError):
            while True:
                self.hear()
        return True
