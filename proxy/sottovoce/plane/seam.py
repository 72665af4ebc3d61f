"""The seam between calls and whoever carries their frames: small, so that there can be a second one behind it.

    plane.add(client, session, user) ─▶ flow
    flow.rekey()         the session's keys have changed, or what may be done with them
    flow.send_audio()    a frame of the backend; flow.send(): a control frame; flow.flush(): now
    flow.drop()          it is over
    flow.statistics      what it has carried

A flow opens what the client sends.  Plain audio goes to the *ear*, the backend's leg, at once; everything else is told
to the user, in its order.  A flow seals what goes to the client when it can be written and not before: a sealed record
must be written, or the client sees a gap (docs/protocol.md §7), and what is not sealed yet can still be dropped.

All calls into a flow and out of it are made in the thread of the event loop, return at once and must not raise.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sottovoce.plane.loss import Loss
from sottovoce.plane.queue import Control
from sottovoce.session import Heartbeat, ServerSession
from sottovoce.transport import ServerWebSocket, TlsStream, WsEvent

MAX_REPLY_BYTES = 65_536
"""Answers to WebSocket pings that may wait for a client that does not read them."""


class FlowStatistics(msgspec.Struct, frozen=True):
    """What a flow has carried: frames of audio."""

    from_client: int
    to_client: int
    """Sealed, and so written."""
    dropped: int
    """Of the backend's, the oldest first, because the client did not read."""


class Ear(Protocol):
    """Who hears what the client says: the backend's leg."""

    def audio(self, payload: bytes, lost_before: int) -> None:
        """Take a frame: flags u8, codec bytes."""
        ...

    def flush(self) -> None:
        """Send on what was taken; called once behind all that came together."""
        ...


class FlowUser(Protocol):
    """The call."""

    def arrived(self, events: Sequence[WsEvent]) -> None:
        """Take what has come, not opened: while there is no ear, and what is no record."""
        ...

    def settle(self) -> None:
        """Look at the session, which has events or records; then `rekey`."""
        ...

    def made_room(self) -> None:
        """What waited has been sealed, some or all of it: look at `is_crowded` again."""
        ...

    def falls_due(self, retry_at: float | None) -> None:
        """Look at `stalls_at` again; with a time, have `flush` called then: something could not be sealed yet."""
        ...

    def connection_lost(self) -> None:
        """Nothing more can be read or written."""
        ...

    def crashed(self, error: Exception) -> None:
        """One of these methods raised."""
        ...


class Client(msgspec.Struct, frozen=True):
    """A client's connection that is handed over: TLS has shaken hands, the WebSocket was accepted."""

    stream: TlsStream
    websocket: ServerWebSocket
    patience_seconds: float
    """A client that takes nothing of what was written for so long stalls."""
    queue_frames: int
    """Frames of the backend that may wait; beyond, the oldest is dropped and counted."""
    heartbeat: Heartbeat
    """Whose `heard_at` is set by each record."""


class CallFlow(Protocol):
    """One call's frames."""

    close_code: int | None
    """Of the WebSocket's close, to be written behind all that waits."""
    stalls_at: float
    """When the client counts as not reading, unless it takes something before; seconds of the session's clock."""
    ear: Ear | None
    loss: Loss | None
    """Why nothing more can be read or written, if that is known: there before `connection_lost`, and all that tells."""

    @property
    def is_over(self) -> bool:
        """Whether the WebSocket is."""
        ...

    @property
    def is_clogged(self) -> bool:
        """Whether something that was written has not left."""
        ...

    @property
    def is_crowded(self) -> bool:
        """Whether so much control waits that the backend should not be read."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether so much control waits that the client counts as gone."""
        ...

    @property
    def has_said(self) -> bool:
        """Whether the backend has had anything to say yet."""
        ...

    @property
    def statistics(self) -> FlowStatistics:
        """What it has carried so far."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def hold(self) -> None:
        """Read nothing more: the client's bytes wait in the network."""
        ...

    def take(self, events: Sequence[WsEvent]) -> None:
        """Take what came before there was an ear, as if it came now."""
        ...

    def rekey(self) -> None:
        """Take the session's keys as they are now; called behind whatever may have changed them."""
        ...

    def rest(self) -> None:
        """Drop ciphers that little was wanted of since this was last called; to be called every now and then.

        Frames pass as ever: what they want is made anew from the keys that are kept.
        """
        ...

    def send_audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """Have a frame of the backend go out with the next `flush`, or wait in its place."""
        ...

    def send(self, control: Control) -> None:
        """Have a control frame go out behind what waits; it is never dropped.  Look at `is_full`."""
        ...

    def forget_audio(self) -> None:
        """Drop the audio that waits: somebody speaks over it."""
        ...

    def forget_all(self) -> None:
        """Drop what waits: the session is over."""
        ...

    def flush(self) -> None:
        """Write what waits, all of it, unless what was written before has not left."""
        ...

    async def flush_all(self) -> None:
        """Wait until all has been written."""
        ...

    def is_stalled(self, now: float) -> bool:
        """Whether the client has taken nothing for too long; to be asked when `stalls_at` is there."""
        ...

    async def drop(self) -> None:
        """Give the stream back; what has not left never will, and the user is told nothing more."""
        ...


class Plane(Protocol):
    """Carries the frames of a process's calls."""

    def add(self, client: Client, session: ServerSession, user: FlowUser) -> CallFlow:
        """Take over a client's connection; nothing is read before `resume`."""
        ...
