"""AudioSocket's messages in a stream of bytes: type u8, length u16 big-endian, payload.  Pure.

The source is Asterisk's page "AudioSocket" (https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/).  A
message is given and taken as its type's byte with the payload behind it.  A hang-up, which may be the message or the
end of the connection alone, is no message here: it is how this framing closes.

A type that there is not is given as soon as its header is there, its byte alone, and nothing behind it is read.  HTTP
begins with type 0x48 and a length of 21 588: to wait for these would leave the call silent, and nobody told.
"""

from enum import IntEnum
from typing import Final

import trio

from sottovoce.primitives import ApiMisuse
from sottovoce.relay.link import BackendAddress, Link
from sottovoce.transport import PeerClosed, WsEvent, WsFailed

HEADER_BYTES: Final = 3
HANG_UP_CODE: Final = 1000
"""The code of a close that was a message of its own, and of ours that ends a call in good order."""
END_CODE: Final = 1005
"""The code of a close that was the end of the connection alone."""


class Kind(IntEnum):
    """Types of messages; audio of other rates than 8 kHz follows on `SLIN_8K` (`Kind.SLIN_8K + n`)."""

    HANG_UP = 0x00
    UUID = 0x01
    DTMF = 0x03
    SLIN_8K = 0x10
    SLIN_12K = 0x11
    SLIN_16K = 0x12
    SLIN_24K = 0x13
    SLIN_32K = 0x14
    SLIN_44K = 0x15
    SLIN_48K = 0x16
    SLIN_96K = 0x17
    SLIN_192K = 0x18
    ERROR = 0xFF


_WITH_PAYLOAD: Final = frozenset(map(int, Kind)) - {0}
FORWARDING_ERROR: Final = b"\x02"
"""Asterisk's code for a frame that could not be passed on: what we say before we leave a server at fault."""


async def open_audiosocket(stream: trio.abc.Stream, address: BackendAddress) -> Link:
    """Begin an AudioSocket: nothing is asked and nothing answered."""
    del address
    await trio.lowlevel.checkpoint()
    return Link(stream, AudioSocketFraming(), [])


class AudioSocketFraming:
    """A `Framing`.  A message is never longer than its length can say, so neither is what is kept."""

    def __init__(self) -> None:
        """Begin with nothing read or written."""
        self.outgoing: list[bytes] = []
        self.is_open = True
        self.is_over = False
        self._unread = bytearray()
        self._is_deaf = False
        """What came was of a type that there is not."""

    def receive(self, data: bytes) -> list[WsEvent]:
        """Take bytes and give the messages that they complete; nothing after a hang-up, or a type that there is not."""
        events: list[WsEvent] = []
        if self.is_over or self._is_deaf:
            return events
        unread = self._unread
        unread += data
        start, size = 0, len(unread)
        while size - start >= HEADER_BYTES:
            end = start + HEADER_BYTES + int.from_bytes(unread[start + 1 : start + HEADER_BYTES])
            kind = unread[start]
            if kind == Kind.HANG_UP:  # whatever its length says, nothing follows
                return [*events, self._closed(HANG_UP_CODE)]
            if kind not in _WITH_PAYLOAD:
                self._is_deaf = True
                unread.clear()
                return [*events, bytes([kind])]
            if size < end:
                break
            events.append(bytes(unread[start : start + 1] + unread[start + HEADER_BYTES : end]))
            start = end
        del unread[:start]
        return events

    def receive_message(self, data: bytes) -> bytes | None:
        """Take one whole message, if that is what it is and nothing stands before it."""
        if self._unread or self.is_over or self._is_deaf or len(data) < HEADER_BYTES or data[0] not in _WITH_PAYLOAD:
            return None
        if len(data) != HEADER_BYTES + int.from_bytes(data[1:HEADER_BYTES]):
            return None
        return data[:1] + data[HEADER_BYTES:]

    def receive_eof(self) -> list[WsEvent]:
        """The end of the connection hangs up, unless it is in the midst of a message."""
        if self.is_over:
            return []
        if self._unread:
            self._closed(END_CODE)
            return [WsFailed("the connection ended in the midst of a message")]
        return [self._closed(END_CODE)]

    def send_binary(self, message: bytes) -> None:
        """Queue a message: its type's byte and the payload."""
        self.outgoing.append(message[:1] + (len(message) - 1).to_bytes(2) + message[1:])

    def send_text(self, message: str) -> None:
        """There are no texts."""
        raise ApiMisuse(f"AudioSocket has no texts, and this is one of {len(message)} characters")

    def close(self, code: int) -> None:
        """Queue a hang-up, behind an error if there was one."""
        if not self.is_open:
            return
        self.is_open = False
        if code != HANG_UP_CODE:
            self.send_binary(bytes([Kind.ERROR]) + FORWARDING_ERROR)
        self.send_binary(bytes([Kind.HANG_UP]))

    def to_send(self) -> bytes:
        """Give all that is queued."""
        written, self.outgoing = self.outgoing, []
        return b"".join(written)

    def _closed(self, code: int) -> PeerClosed:
        self.is_open = False
        self.is_over = True
        self._unread.clear()
        return PeerClosed(code, "")
