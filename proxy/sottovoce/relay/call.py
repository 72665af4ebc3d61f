"""The two sides of a call's backend leg: what the edge calls (`Leg`) and what it is told (`CallSink`).

Not here: how an adapter speaks to its backend.  Both directions are plain synchronous calls, so that a voice frame
costs no await and no channel between the voice session and the backend's socket.  A `Leg` never blocks: what it cannot
send at once waits in a bounded queue, from which the oldest audio is dropped and counted; control is never dropped.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from sottovoce.primitives import Suite
from sottovoce.wire import Code, Codec


class CallStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend is told about a call before its first frame."""

    session_id: bytes
    """16 bytes, chosen by the proxy (protocol §3, ServerParams)."""
    route: str
    send_codec: Codec
    """What the backend will hear: the codec that the client sends.  NONE in a data session."""
    receive_codec: Codec
    """What the backend must speak: the codec that the client receives."""
    frame_milliseconds: int
    """Milliseconds of a frame, both directions; 0 in a data session."""
    identity: str | None
    """The name that the client's credential proved; None where none was wanted."""
    suite: Suite
    epoch: int
    """The session's epoch at the start, 1 unless the call was set up slowly."""
    epoch_seconds: int
    metadata: bytes | None = None
    """The client's JSON object as it came, checked by the session (`wire.is_json_object`)."""
    client_address: str
    """The client's address and port, as in `203.0.113.9:50112` or `[2001:db8::9]:50112`."""


class CallStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A call in numbers, seen from the proxy's client side.  Frames are audio frames, or data in a data session."""

    seconds: float
    epochs: int
    frames_from_client: int
    frames_to_client: int
    frames_lost: int = 0
    """Frames of the client that the carriage lost (always 0 on an ordered carrier)."""
    frames_dropped_to_client: int = 0
    """Frames of the backend that were dropped because the client did not take them in time."""


class CallEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended, for the backend."""

    code: int
    """A code of protocol §10; the client's own, also when we do not know it."""
    reason: str
    """The code's name: `normal`."""
    truncated: bool
    """Whether the carriage ended without a close frame: what came before may be cut short by an attacker."""
    statistics: CallStatistics


class LegStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What one leg has carried so far.  Frames are audio frames, or data in a data session."""

    frames_to_backend: int
    frames_from_backend: int
    frames_dropped_to_backend: int
    """Audio dropped from the queue, oldest first, because the backend did not read."""
    frames_dropped_from_backend: int
    """Audio of the backend beyond what it may send ahead of real time."""


class CallSink(Protocol):
    """Where a leg pushes what the backend sends.  Every method is synchronous and must not raise or block.

    What is pushed waits until `flush`, so that what came together leaves together.  Calls come when the backend's bytes
    do, or from inside a call of the edge into the leg (`echo` answers at once, and need not flush then; a full queue
    ends the leg).  After `hung_up` or `backend_closed` nothing follows but a `flush`.
    """

    def audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """One frame for the client: codec bytes (empty: silence), flags but the timestamp's, codec clock of §9."""

    def data(self, data: bytes) -> None:
        """Opaque data for the client of a data session, at most 8 000 bytes."""

    def dtmf(self, event: int, duration_ms: int) -> None:
        """A key press, RFC 4733 event 0-15."""

    def mark(self, name: str) -> None:
        """Ask the client to say when all audio before this has been played; at most 64 bytes of UTF-8."""

    def clear(self) -> None:
        """Drop audio that waits to be played (barge-in)."""

    def json(self, data: bytes) -> None:
        """A JSON object for the client's application, at most 4 000 bytes."""

    def hung_up(self, reason: str) -> None:
        """The backend ended the call in good order (`stop`): the call ends with 1000.  `reason` is its own word."""

    def backend_closed(self, reason: str) -> None:
        """The backend is gone or misbehaved: the call ends with `backend_down`.  `reason` is one line for the log."""

    def crashed(self, error: Exception) -> None:
        """A fault of our own has ended the leg: the call is cut off, and raises `error` where it is served."""

    def flush(self) -> None:
        """Let what was pushed go out; called once behind all that came together."""

    def has_room(self, call_back: Callable[[], None]) -> bool:
        """Whether more should be read from the backend; if not, `call_back` is called once when it should."""
        ...


class Leg(Protocol):
    """The backend's side of one call.  Synchronous, never blocking, silent once the leg has ended.

    What it is given waits until `flush`, as with a `CallSink`.
    """

    def audio(self, payload: bytes, lost_before: int) -> None:
        """Pass one audio frame on: the payload of frame type 1, checked (flags, timestamp if flagged, codec bytes)."""

    def data(self, data: bytes) -> None:
        """Pass one data frame on (data sessions)."""

    def dtmf(self, event: int, duration_ms: int) -> None:
        """Pass a key press on."""

    def mark_played(self, name: str) -> None:
        """The client has played everything before this mark of the backend."""

    def mute(self, *, muted: bool) -> None:
        """The client's microphone was muted or opened."""

    def json(self, data: bytes) -> None:
        """Pass the client's JSON object on, checked by the session."""

    def flush(self) -> None:
        """Let what was given go out; called once behind all that came together."""

    def stop(self, end: CallEnd) -> None:
        """Tell the backend how the call ended.  The last call into a leg; leaving the leg's block delivers it."""

    @property
    def statistics(self) -> LegStatistics:
        """A snapshot of what was carried and dropped."""
        ...


class Route(Protocol):
    """A configured way to a backend, from which calls are connected."""

    @property
    def name(self) -> str:
        """The route's name, the last part of the request path."""
        ...

    @property
    def codecs(self) -> frozenset[Codec]:
        """The codecs that calls on this route may use, either direction."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should be told at start, one line each; empty for most routes."""
        ...

    @property
    def plaintext_network(self) -> bool:
        """Whether the configuration lets audio leave this machine in the clear: goes on the audit log."""
        ...

    def connect(self, start: CallStart, sink: CallSink) -> AbstractAsyncContextManager[Leg]:
        """Connect one call.

        Entering raises BackendDown when the backend cannot be reached within the route's attempts; `sink` hears nothing
        then.  Leaving delivers a `stop` if there was one (bounded, also under cancellation), ends the leg's tasks and
        closes its socket.  An exception of the block passes through as it is.
        """
        ...


def end_of(code: Code, statistics: CallStatistics, *, truncated: bool = False) -> CallEnd:
    """Build the end of a call from one of our own codes."""
    return CallEnd(code=code, reason=code.label, truncated=truncated, statistics=statistics)
