"""A session of numbered binary messages over WebSocket, with TLS 1.3 around it or without: what any proxy can carry."""

from collections.abc import Sequence

import msgspec

from loadtest.replay.agenda import Rhythm
from loadtest.replay.book import Book, RouteBook
from loadtest.replay.streams.stream import Stream
from sottovoce.transport import (
    HANDSHAKE_SECONDS,
    ClientWebSocket,
    PeerClosed,
    TlsContext,
    TlsCore,
    TlsError,
    UpgradeAccepted,
    WsEvent,
    WsFailed,
)

_MAX_MESSAGE_BYTES = 65_536


class OpaqueAddress(msgspec.Struct, frozen=True):
    """What the upgrade asks for, and how it is protected."""

    authority: str
    target: str
    tls: TlsContext | None


class OpaqueStream(Stream):
    """Such a session."""

    __slots__ = ("_tls", "_websocket")

    def __init__(  # noqa: PLR0913, PLR0917  a stream's, and what is its own
        self,
        session: int,
        route: RouteBook,
        book: Book,
        tails: Sequence[bytes],
        address: OpaqueAddress,
        rhythm: Rhythm | None = None,
    ) -> None:
        super().__init__(session, route, book, tails, rhythm)
        self._tls = None if address.tls is None else TlsCore(address.tls)
        self._websocket = ClientWebSocket(address.authority, address.target, max_message_bytes=_MAX_MESSAGE_BYTES)

    def mind(self, now: float) -> None:
        """Give up what takes too long to come about."""
        if not self.is_up and not self.is_over and now > self.began_at + HANDSHAKE_SECONDS:
            self._end(f"{self._peer} did not open a WebSocket in {HANDSHAKE_SECONDS:g} s")

    def _greet(self, now: float) -> None:
        del now
        if self._tls is None:
            self._websocket.request()
        self._flush()

    def _take(self, data: bytes, now: float) -> None:
        if not data:
            self._end("the connection broke and nobody said why" if self.is_up else "the connection ended at once")
            return
        plaintext = data if self._tls is None else self._decrypt(self._tls, data)
        if plaintext is None:
            return
        for event in self._websocket.receive(plaintext) if plaintext else ():
            if isinstance(event, bytes):
                self._heard(event, now)
            else:
                self._on_event(event, now)
        self._flush()

    def _decrypt(self, tls: TlsCore, data: bytes) -> bytes | None:
        """Give the plaintext, perhaps none; None if that was the end."""
        was_complete = tls.handshake_complete
        try:
            plaintext = tls.receive(data)
        except TlsError as error:
            self._flush()
            self._end(f"TLS: {error}")
            return None
        if tls.handshake_complete and not was_complete:
            self._websocket.request()
        return plaintext

    def _on_event(self, event: WsEvent, now: float) -> None:
        match event:
            case UpgradeAccepted():
                self._is_ready(now)
            case PeerClosed(code=code):
                self._flush()
                self._end(f"the other side closed the WebSocket ({code})")
            case WsFailed(reason=reason):
                self._flush()
                self._end(reason)
            case _:
                pass

    def _say(self, frame: bytes, now: float, turn: int) -> None:
        del now, turn  # a message of bytes has neither
        if self._websocket.is_open:
            self._websocket.send_binary(frame)
            self._flush()

    def _say_goodbye(self, now: float) -> None:
        del now
        if self._is_connecting or not self._websocket.is_open:
            self.drop()
            return
        self._websocket.close(1000)
        self._flush()

    def _flush(self) -> None:
        if self.is_over:
            return
        if self._tls is None:
            data = self._websocket.to_send()
        else:
            if self._tls.failure is None and (plaintext := self._websocket.to_send()):
                self._tls.send(plaintext)
            data = self._tls.to_send()
        if data:
            self._write(data)
