"""The proxy's end of the `raw` contract, in memory: a WebSocket client that says what a test wants said."""

import json
from collections.abc import Callable, Iterable

from sottovoce.backend.items import Item
from sottovoce.backend.machine import CallMachine
from sottovoce.transport import ClientWebSocket, PeerClosed, TextMessage, TlsContext, TlsCore, WsEvent

START: dict[str, object] = {
    "type": "start",
    "version": 1,
    "session_id": "000102030405060708090a0b0c0d0e0f",
    "route": "bot",
    "codec": "pcmu",
    "rate": 8000,
    "reply_codec": "pcmu",
    "reply_rate": 8000,
    "frame_ms": 20,
    "header": False,
    "identity": None,
    "suite": "X25519MLKEM768_AES256GCM",
    "epoch": 1,
    "epoch_seconds": 300,
    "client_address": "203.0.113.9:50112",
    "metadata": None,
}
DATA_START = START | {"codec": "none", "rate": 0, "reply_codec": "none", "reply_rate": 0, "frame_ms": 0}
STOP: dict[str, object] = {
    "type": "stop",
    "code": 1000,
    "reason": "normal",
    "truncated": False,
    "statistics": {"seconds": 1.5, "epochs": 1, "frames_from_client": 3},
}


class Proxy:
    """Talks with a machine; `heard` is what it said, texts as objects."""

    def __init__(
        self,
        machine: CallMachine,
        *,
        tls: TlsContext | None = None,
        cut: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> None:
        self.machine = machine
        self.now = 0.0
        self.heard: list[object] = []
        self._cut = cut or (lambda data: (data,))
        self._websocket = ClientWebSocket("localhost:9000", "/", max_message_bytes=100_000)
        self._tls = None if tls is None else TlsCore(tls)
        if self._tls is None:
            self._websocket.request()
        self.settle()

    def say(self, *messages: dict[str, object] | bytes | str) -> "Proxy":
        for message in messages:
            if isinstance(message, bytes):
                self._websocket.send_binary(message)
            else:
                self._websocket.send_text(message if isinstance(message, str) else json.dumps(message))
        return self.settle()

    def close(self, code: int = 1000) -> "Proxy":
        self._websocket.close(code)
        return self.settle()

    def at(self, now: float) -> "Proxy":
        self.now = now
        self.machine.on_deadline(now)
        return self.settle()

    def settle(self) -> "Proxy":
        """Carry bytes both ways until there are none."""
        while (out := self._out()) | (back := self._back()):
            del out, back
        return self

    def items(self) -> list[Item]:
        return list(iter(self.machine.take, None))

    def _out(self) -> bool:
        data = self._websocket.to_send()
        if self._tls is not None:
            if data:
                self._tls.send(data)
            data = self._tls.to_send()
        for piece in self._cut(data) if data else ():
            self.machine.receive(piece, self.now)
        return bool(data)

    def _back(self) -> bool:
        data = self.machine.to_send()
        plain = data
        if self._tls is not None and data:
            was_complete = self._tls.handshake_complete
            plain = self._tls.receive(data)
            if self._tls.handshake_complete and not was_complete:
                self._websocket.request()
        for event in self._websocket.receive(plain) if plain else ():
            self._hear(event)
        return bool(data)

    def _hear(self, event: WsEvent) -> None:
        match event:
            case TextMessage(text):
                self.heard.append(json.loads(text))
            case bytes():
                self.heard.append(event)
            case PeerClosed(code):
                self.heard.append(code)
            case _:
                pass


def in_call(start: dict[str, object] = START) -> Proxy:
    """A call that goes on."""
    return Proxy(CallMachine(0.0)).say(start)
