"""What a line is to those who use it, and which one a stream gets.

A `trio.abc.Stream` wakes a task for each read and another for each write, which costs more than all that happens to a
voice frame in between.  A *line* calls its user instead, at once and synchronously: `received` with what has come,
`drained` when what was written has left, `lost` when nothing more will come.  `write` never waits; what does not leave
at once is kept and sent as room comes, in order.  How much may wait is the user's to say, by not writing while
`is_clogged`.

A line borrows its stream: while it has it nobody else uses it, and after `release` its owner closes it.  Nothing is
pushed before `begin`, or while a line is held.  A user's exception is our own fault: `crashed` is told, and nothing
more is pushed.
"""

from typing import Final, Protocol

import trio

TURN_BYTES: Final = 4_096
"""Read at once, however much has come: a peer in full flood leaves other calls their turn every few milliseconds."""


class LineUser(Protocol):
    """Whom a line tells.  Every method returns at once."""

    def received(self, data: bytes) -> None:
        """Take what has come."""
        ...

    def drained(self) -> None:
        """Nothing that was written waits any more: all has left, or never will, of which `lost` tells."""
        ...

    def lost(self, reason: str) -> None:
        """Nothing more will come: the peer has said so (an empty reason), or the connection broke.

        Told once, behind all that came.  A peer may go on reading when it has said all: `drained` may follow.
        """
        ...

    def crashed(self, error: Exception) -> None:
        """One of these methods raised; nothing more is told.  Must not raise."""
        ...


class Nobody:
    """Whom a line tells before it is begun, and when it is over."""

    def received(self, data: bytes) -> None:
        """See `LineUser`."""

    def drained(self) -> None:
        """See `LineUser`."""

    def lost(self, reason: str) -> None:
        """See `LineUser`."""

    def crashed(self, error: Exception) -> None:
        """See `LineUser`."""


NOBODY: Final = Nobody()


class Line(Protocol):
    """One connection."""

    is_clogged: bool
    """Whether something that was written has not left yet."""

    @property
    def sent_bytes(self) -> int:
        """How many bytes have left."""
        ...

    def begin(self, user: LineUser) -> None:
        """Serve `user`, which is told nothing until `resume`."""
        ...

    def write(self, data: bytes) -> bool:
        """Send, or keep for later; gives `is_clogged`.  On a connection that is lost, or released, it does nothing."""
        ...

    def hold(self) -> None:
        """Read nothing more: the peer's bytes wait in the network."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    async def release(self) -> None:
        """Give the stream back; what has not left never will."""
        ...


def line_over(stream: trio.abc.Stream, turn_bytes: int = TURN_BYTES) -> Line:
    """Give a line over a stream: over a socket the process's hub serves it, over anything else two tasks.

    Of a socket `turn_bytes` are read at once: more where it carries many calls.
    """
    from sottovoce.transport.lines.sockets import SocketLine  # noqa: PLC0415  they know what a line is
    from sottovoce.transport.lines.streams import StreamLine  # noqa: PLC0415  likewise

    return SocketLine(stream, turn_bytes) if isinstance(stream, trio.SocketStream) else StreamLine(stream)
