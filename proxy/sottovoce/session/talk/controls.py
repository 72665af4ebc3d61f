"""What either side may say beside audio, by the caller's wish (protocol §9).

Each method queues a frame for `to_send()` and says whether it did.  False is: not now, try again later; the epoch is
past its age, the session not open, or more was said than the peer has to take.  Raises ApiMisuse for what a peer would
refuse.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from sottovoce.session.talk import outbound
from sottovoce.wire import FrameType


class Controls(ABC):
    """The part of a session that sends control frames, and the count of marks that make a client's mark an echo."""

    __slots__ = ("_marks_outstanding",)
    _is_client: ClassVar[bool]

    def __init__(self) -> None:
        """Begin without a mark."""
        self._marks_outstanding = 0

    @abstractmethod
    def _send(
        self, frame_type: FrameType, payload: bytes, now: float, *, metered: bool = True, as_datagram: bool = False
    ) -> bool:
        """Queue a frame, unless it may not be sealed now or, if metered, there is no token for it."""

    def send_dtmf(self, event: int, duration_milliseconds: int, now: float) -> bool:
        """Queue a telephone key."""
        return self._send(FrameType.DTMF, outbound.dtmf(event, duration_milliseconds), now)

    def send_ping(self, data: bytes, now: float, *, as_datagram: bool = False) -> bool:
        """Queue a ping of eight bytes; the pong comes back over the same carrier."""
        return self._send(FrameType.PING, outbound.ping(data), now, as_datagram=as_datagram)

    def send_json(self, data: bytes, now: float) -> bool:
        """Queue a JSON object for the other end's application."""
        return self._send(FrameType.JSON, outbound.json(data), now)

    def send_mark(self, name: str, now: float) -> bool:
        """Queue a mark (server), or the answer to one (client)."""
        payload = outbound.mark(name)
        is_echo = self._is_client and self._marks_outstanding > 0
        sent = self._send(FrameType.MARK, payload, now, metered=not is_echo)
        if sent and is_echo:
            self._marks_outstanding -= 1
        elif sent and not self._is_client:
            self._marks_outstanding += 1
        return sent

    def send_cover(self, length_bytes: int, now: float, *, as_datagram: bool = False) -> bool:
        """Queue filling that the peer ignores."""
        return self._send(FrameType.COVER, outbound.cover(length_bytes), now, as_datagram=as_datagram)

    def send_data(self, data: bytes, now: float) -> bool:
        """Queue opaque bytes; data sessions only."""
        return self._send(FrameType.DATA, outbound.data(data), now)

    def _heard_mark(self) -> bool:
        """Count a mark that came in; at the server, whether it answers one of ours: such a one costs no token."""
        if self._is_client:
            self._marks_outstanding += 1
            return False
        is_echo = self._marks_outstanding > 0
        self._marks_outstanding -= is_echo
        return is_echo
