"""The part that both roles share: messages, the closing handshake, failure.

Not here: how the WebSocket comes to be open (`server`, `client`).

After *every* call write what `to_send` gives: the core answers pings and close frames by itself, and tells the peer why
we failed.  Once `is_over` and that is written, close the stream.  Nothing a peer sends makes `receive` raise.

The core does not check that text is UTF-8, and gives messages in the fragments they came in: both is done here.

A binary message in one frame, which is what a call consists of, passes the core by (`binary`), and so do pings and
pongs, since a peer can send seven hundred of them in a turn: frames are told apart here, and the core is given the
others, each whole or as far as it has come.  What is wrong with a frame is for the core to find: it is given at once
what does not look right.

A peer may send `max_idle_frames` that complete no message, and after each message some more (`transport.limits`).
"""

import sys
from enum import Enum
from typing import Final, cast

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.errors import WebSocketClosed
from sottovoce.transport.limits import IDLE_FRAMES_PAID
from sottovoce.transport.websocket.binary import (
    BINARY_FRAME,
    PING_FRAME,
    PONG_FRAME,
    SHORT_SIZES,
    apply_mask,
    as_pong,
    as_text,
    frame_extent,
    is_unsound,
    masked_frame,
    unmasked_frame,
)
from sottovoce.transport.websocket.core import ClientCore, ServerCore, client_core, refusal, server_core
from sottovoce.transport.websocket.events import PeerClosed, TextMessage, WsEvent, WsFailed

_ABNORMAL: Final = 1006
_INVALID_DATA: Final = 1007
_POLICY: Final = 1008
_PINGS: Final = frozenset({PING_FRAME, PONG_FRAME})
_FRAGMENT_COUNTS: Final = 4
_TWO_BYTES_FOLLOW: Final = 126
"""A frame's short size that says that its size is in the two bytes behind it (RFC 6455 §5.2)."""


class Phase(Enum):
    """How far a WebSocket has come."""

    UPGRADING = "upgrading"
    ASKED = "asked"
    RUNNING = "running"
    OVER = "over"


class WebSocket:
    """One WebSocket of either role, in and after its opening."""

    __slots__ = (
        "_due_to_core",
        "_encode",
        "_idle_frames",
        "_is_between_frames",
        "_is_server",
        "_kept_core",
        "_long_head",
        "_mask_bit",
        "_max_idle_frames",
        "_max_message_bytes",
        "_message",
        "_message_is_text",
        "_phase",
        "_unread",
        "_usual_bytes",
        "_usual_head",
        "_usual_start",
        "is_open",
        "outgoing",
    )

    def __init__(
        self, core: ServerCore | ClientCore, max_message_bytes: int, max_idle_frames: int | None = None
    ) -> None:
        self._kept_core: ServerCore | ClientCore | None = core
        self._max_message_bytes = max_message_bytes
        self._max_idle_frames = max_idle_frames
        self._idle_frames = 0
        self._phase = Phase.UPGRADING
        self._message: bytearray | None = None  # the fragments so far
        self._message_is_text = False
        self._unread = b""  # of a binary frame that is not all there
        self._due_to_core = 0  # of a frame that the core has a part of
        self.outgoing: list[bytes] = []
        """What `to_send` will give."""
        self.is_open = False
        """Whether messages can be sent: the upgrade is done, and neither side has closed."""
        self._is_server = isinstance(core, ServerCore)
        self._mask_bit, self._long_head = (0x80, 8) if self._is_server else (0, 4)
        self._is_between_frames = False
        self._usual_bytes, self._usual_head, self._usual_start = -1, b"", 0  # of the last message that came by itself
        self._encode = unmasked_frame if self._is_server else masked_frame

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be read or written but what `to_send` still holds: then close the stream."""
        return self._phase is Phase.OVER

    def receive_message(self, data: bytes) -> bytes | None:
        """Take bytes as `receive` does, more cheaply where they are one whole binary message, as they are in a call.

        None: they are something else, and nothing was taken; call `receive` with them.
        """
        if not self._is_between_frames:
            return None
        if len(data) == self._usual_bytes and data.startswith(self._usual_head):
            start = self._usual_start
        elif not (start := self._start_of_message(data)):
            return None
        if self._idle_frames:
            self._pay()
        return apply_mask(data[start:], data[start - 4 : start]) if self._is_server else data[start:]

    def _start_of_message(self, data: bytes) -> int:
        """Give where the payload of a whole binary message begins, or 0; another of its size is known by that."""
        if len(data) < self._long_head or data[0] != BINARY_FRAME:
            return 0
        short = data[1] - self._mask_bit
        if short == _TWO_BYTES_FOLLOW:
            start, size = self._long_head, data[2] << 8 | data[3]
        else:
            start, size = self._long_head - 2, short
        if size > self._max_message_bytes or start + size != len(data) or short > _TWO_BYTES_FOLLOW:
            return 0
        head_bytes = start - 4 if self._is_server else start
        self._usual_bytes, self._usual_head, self._usual_start = len(data), data[:head_bytes], start
        return start

    def receive_eof(self) -> list[WsEvent]:
        """Say that the network has no more bytes."""
        match self._phase:
            case Phase.OVER:
                return []
            case Phase.RUNNING:
                self._core.receive_eof()
                self._gather()
                return self._fail("the connection ended without a WebSocket close", close_code=_ABNORMAL)
            case _:
                return self._fail("the connection ended before the WebSocket was open")

    def send_binary(self, message: bytes) -> None:
        """Queue a binary message.  Raises `WebSocketClosed` once either side has closed or failed."""
        if not self.is_open:
            raise self._not_open()
        frame = self._encode(message)
        if frame is None:
            self._core.send_binary(message)
            self._gather()
        else:
            self.outgoing.append(frame)

    def message_alone(self, message: bytes) -> bytes | None:
        """Give a binary message's bytes, to be written now; None: `send_binary` has to, as others go before it."""
        return None if self.outgoing or not self.is_open else self._encode(message)

    def send_text(self, message: str) -> None:
        """Queue a text message.  Raises `WebSocketClosed` once either side has closed or failed."""
        if not self.is_open:
            raise self._not_open()
        data = message.encode()
        frame = self._encode(data)
        if frame is None:
            self._core.send_text(data)
            self._gather()
        else:
            self.outgoing.append(as_text(frame))

    def send_ping(self, payload: bytes) -> None:
        """Queue a ping of at most 125 bytes; its answer is not reported."""
        if not self.is_open:
            raise self._not_open()
        try:
            self._core.send_ping(payload)
        except ProtocolError:
            raise ApiMisuse("WebSocket: a ping carries at most 125 bytes") from None
        self._gather()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; nothing, if it has begun or the WebSocket is over.

        The peer's answer comes as `PeerClosed`; how long to wait for it is the caller's to say.
        """
        if not self.is_open:
            if self._phase in (Phase.RUNNING, Phase.OVER):
                return
            raise self._not_open()
        try:
            self._core.send_close(code, reason)
        except ProtocolError:
            raise ApiMisuse(
                "WebSocket: a close has a code of RFC 6455 §7.4 and a reason of at most 123 bytes"
            ) from None
        self._gather()

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        written, self.outgoing = self.outgoing, []
        return written[0] if len(written) == 1 else b"".join(written)

    @property
    def _core(self) -> ServerCore | ClientCore:
        """The library's.

        That of the opening knows both heads and is let go behind it; another is made when there is something for it to
        do, which in most calls there is not before the end: they are more memory than all else of a WebSocket.
        """
        core = self._kept_core
        if core is None:
            make = server_core if self._is_server else client_core
            core = self._kept_core = make(self._max_message_bytes, State.OPEN)
        return core

    def _opened(self) -> None:
        """The opening is over."""
        self._enter(Phase.RUNNING)
        self._kept_core = None
        self._is_between_frames = True

    def _gather(self) -> None:
        """Take what the core has written, after each step of it: what is written past it keeps its place."""
        self.outgoing += self._core.data_to_send()
        self.is_open = self._phase is Phase.RUNNING and self._core.state is State.OPEN

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._is_between_frames = False
        self._gather()

    def _receive_frames(self, data: bytes) -> list[WsEvent]:
        events = self._divide(data)
        is_within = self._unread or self._due_to_core or self._message is not None
        self._is_between_frames = self._phase is Phase.RUNNING and not is_within
        return events

    def _divide(self, data: bytes) -> list[WsEvent]:
        events: list[WsEvent] = []
        if self._unread:
            data, self._unread = self._unread + data, b""
        at, end = self._continue(data, events) if self._due_to_core else 0, len(data)
        is_masked = self._is_server
        while at < end and self._phase is not Phase.OVER:
            extent = frame_extent(data, at)
            if extent is None:
                if is_unsound(data[at : at + 2], is_masked=is_masked):
                    self._due_to_core = sys.maxsize  # it need not wait for the rest, and refuses it when it can tell
                    self._give_core(data[at:], events)
                else:
                    self._unread = data[at:]
                break
            start, size = extent
            following = start + size
            if data[at + 1] >> 7 != is_masked or size > self._max_message_bytes:
                following = end  # the core will refuse it
            elif self._is_ours(data[at], size):
                if following > end:
                    self._unread = data[at:]
                    break
                payload = data[start:following]
                self._take_whole(
                    data[at], apply_mask(payload, data[start - 4 : start]) if is_masked else payload, events
                )
                at = following
                continue
            self._due_to_core = max(0, following - end)
            self._give_core(data[at:following], events)
            at = following
        return events

    def _is_ours(self, first: int, size: int) -> bool:
        """Whether a frame that begins so passes the core by."""
        if first == BINARY_FRAME:
            return self._message is None
        return first in _PINGS and size < SHORT_SIZES and self.is_open

    def _take_whole(self, first: int, payload: bytes, events: list[WsEvent]) -> None:
        """Take a frame that passes the core by."""
        if first == BINARY_FRAME:
            events.append(payload)
            if self._idle_frames:
                self._pay()
            return
        if first == PING_FRAME and (frame := self._encode(payload)) is not None:
            self.outgoing.append(as_pong(frame))
        self._count_idle(events)

    def _continue(self, data: bytes, events: list[WsEvent]) -> int:
        """Give the core more of the frame that it has a part of; where the next one begins."""
        at = min(self._due_to_core, len(data))
        self._due_to_core -= at
        self._give_core(data[:at], events)
        return len(data) if self._phase is Phase.OVER else at

    def _give_core(self, data: bytes, events: list[WsEvent]) -> None:
        """Have the core read frames, or part of one."""
        core = self._core
        core.receive_data(data)
        for frame in cast("list[Frame]", core.events_received()):  # once it is open, nothing else comes
            told = len(events)
            self._take(frame, events)
            if self._phase is Phase.OVER:
                break
            if len(events) != told:
                self._pay()
                continue
            self._count_idle(events, _FRAGMENT_COUNTS)
            if self.is_over:
                break
        else:
            if core.parser_exc is not None:
                events += self._fail(*refusal(core.parser_exc, self._max_message_bytes))
        self._gather()

    def _count_idle(self, events: list[WsEvent], frames: int = 1) -> None:
        """A frame has completed no message: too many end the connection."""
        self._idle_frames += frames
        if self._max_idle_frames is not None and self._idle_frames >= self._max_idle_frames:
            self._core.fail(_POLICY)
            text = "the peer sent too many frames without completing a message"
            events += self._fail(text, None, _POLICY)

    def _pay(self) -> None:
        """A message makes up for some."""
        self._idle_frames = max(0, self._idle_frames - IDLE_FRAMES_PAID)

    def _take(self, frame: Frame, events: list[WsEvent]) -> None:
        match frame.opcode:
            case Opcode.BINARY | Opcode.TEXT:
                self._message_is_text = frame.opcode is Opcode.TEXT
                if frame.fin:
                    self._complete(bytes(frame.data), events)
                else:
                    self._message = bytearray(frame.data)
            case Opcode.CONT if self._message is not None:
                self._message += frame.data
                if frame.fin:
                    message, self._message = bytes(self._message), None
                    self._complete(message, events)
            case Opcode.CLOSE if self._core.close_rcvd is not None:
                self._enter(Phase.OVER)
                events.append(PeerClosed(int(self._core.close_rcvd.code), self._core.close_rcvd.reason))
            case _:
                pass  # a ping while we close was answered by the core; a pong says nothing

    def _complete(self, message: bytes, events: list[WsEvent]) -> None:
        if not self._message_is_text:
            events.append(message)
            return
        try:
            events.append(TextMessage(message.decode()))
        except UnicodeDecodeError:
            text = "the peer sent text that is not UTF-8"
            self._core.fail(_INVALID_DATA, "text that is not UTF-8")
            events += self._fail(text, None, _INVALID_DATA)

    def _fail(self, reason: str, status: int | None = None, close_code: int | None = None) -> list[WsEvent]:
        self._enter(Phase.OVER)
        self._message = None
        return [WsFailed(reason, status, close_code)]

    def _not_open(self) -> WebSocketClosed | ApiMisuse:
        if self._phase in (Phase.RUNNING, Phase.OVER):
            return WebSocketClosed("the WebSocket is closed: nothing more can be sent on it")
        return ApiMisuse("WebSocket: nothing can be sent before it is open")
