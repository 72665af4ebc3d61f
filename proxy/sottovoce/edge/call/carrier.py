"""The client's connection as a call sees it: messages come as they come, and writing never waits.

A TLS line below, a WebSocket on it.  It knows how long the client has taken nothing of what was written (`stalls_at`);
how much may wait is decided by who writes: nothing, while it `is_clogged`, but what the WebSocket answers by itself.
"""

from typing import Protocol

from sottovoce.transport import Clock, ServerWebSocket, TlsLine, TlsStream, WsEvent

MAX_REPLY_BYTES = 65_536
"""Answers to WebSocket pings that may wait for a client that does not read them."""
_PIECE_BYTES = 16_384
"""A client that takes so many is reading, however much waits behind them."""
_NEVER = float("inf")


class CarrierUser(Protocol):
    """Whom a carrier tells.  Every method returns at once."""

    def heard(self, message: bytes) -> None:
        """Take a message that came by itself."""
        ...

    def arrived(self, events: list[WsEvent]) -> None:
        """Take what has come."""
        ...

    def drained(self) -> None:
        """Write on: what was written before has left."""
        ...

    def connection_lost(self) -> None:
        """Nothing more can be read or written."""
        ...

    def crashed(self, error: Exception) -> None:
        """One of these methods raised."""
        ...


class Carrier:
    """One call's.  It reads nothing before `resume`."""

    __slots__ = (
        "_clock",
        "_line",
        "_patience_seconds",
        "_taken",
        "_user",
        "_websocket",
        "is_clogged",
        "owed",
        "stalls_at",
    )

    def __init__(
        self, stream: TlsStream, websocket: ServerWebSocket, clock: Clock, patience_seconds: float, user: CarrierUser
    ) -> None:
        """Take over an accepted WebSocket; a client that takes nothing for the patience stalls."""
        self._line = TlsLine(stream)
        self._websocket = websocket
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._user = user
        self._taken = 0
        self.is_clogged = False
        """Whether something that was written has not left."""
        self.owed = websocket.to_send()
        """What the WebSocket says by itself: the answer to the request, then to pings; the next `write` takes it."""
        self.stalls_at = _NEVER
        """When the client counts as not reading, unless it takes something before."""
        self._line.begin(self)

    @property
    def is_over(self) -> bool:
        """Whether the WebSocket is."""
        return self._websocket.is_over

    def write(self, records: list[bytes], close_code: int | None) -> None:
        """Write records, then perhaps a close, and whatever the WebSocket owes."""
        websocket = self._websocket
        if websocket.is_open:
            for record in records:
                websocket.send_binary(record)
            if close_code is not None:
                websocket.close(close_code)
        data = websocket.to_send()
        if self.owed:
            data, self.owed = self.owed + data, b""
        if data:
            line = self._line
            line.write(data)
            if line.is_clogged:
                self.is_clogged = True
                self._renew()

    def hold(self) -> None:
        """Read nothing more."""
        self._line.hold()

    def resume(self) -> None:
        """Read on."""
        self._line.resume()

    def is_stalled(self, now: float) -> bool:
        """Whether the client has taken nothing for too long; to be asked when `stalls_at` is there."""
        if now < self.stalls_at:
            return False
        if self._line.sent_bytes - self._taken < _PIECE_BYTES:
            return True
        self._renew()
        return False

    async def release(self) -> None:
        """Give the stream back."""
        await self._line.release()

    # What the line tells.

    def received(self, data: bytes) -> None:
        """Pass on what the bytes hold."""
        websocket = self._websocket
        message = websocket.receive_message(data)
        if message is not None:
            self._user.heard(message)
            return
        events = websocket.receive(data)
        if websocket.outgoing:
            self.owed += websocket.to_send()
            if len(self.owed) > MAX_REPLY_BYTES:
                self._user.arrived(events)
                self._user.connection_lost()
                return
        self._user.arrived(events)

    def drained(self) -> None:
        """Pass on."""
        self.is_clogged = False
        self.stalls_at = _NEVER
        self._user.drained()

    def lost(self, reason: str) -> None:
        """Pass on; why is nobody's business here."""
        del reason
        self._user.arrived(self._websocket.receive_eof())
        self._user.connection_lost()

    def crashed(self, error: Exception) -> None:
        """Pass on."""
        self._user.crashed(error)

    def _renew(self) -> None:
        self._taken = self._line.sent_bytes
        self.stalls_at = self._clock.now() + self._patience_seconds
