"""A line over a socket, served by the hub.

A write that fails says nothing by itself: what the peer said before it went is read first, and the end is found behind
it.  (The kernel reports a socket that broke as readable.)  Why it failed is kept until then, since a fault is told
once; but not that the peer takes nothing more (EPIPE), which may have come about in good order.

The descriptor is used as it is: a second `socket.socket` over it would close it when it is collected, in whose hands it
may be by then.  Python ignores SIGPIPE, so a write to a socket is as good as a send.
"""

import os
from typing import Final

import trio

from sottovoce.transport.lines.hub import READABLE, WRITABLE, current_hub
from sottovoce.transport.lines.line import NOBODY, TURN_BYTES, LineUser

_NOTHING: Final = 0
_NO_DESCRIPTOR: Final = -1


class SocketLine:
    """A `Line`.  Made in a task of Trio's, whose run has the hub."""

    __slots__ = (
        "_descriptor",
        "_fault",
        "_hub",
        "_is_broken",
        "_is_held",
        "_is_over",
        "_rest",
        "_stream",
        "_turn_bytes",
        "_user",
        "_watched",
        "is_clogged",
        "sent_bytes",
    )

    def __init__(self, stream: trio.SocketStream, turn_bytes: int = TURN_BYTES) -> None:
        """Borrow `stream`; read so much of it at once."""
        self._turn_bytes = turn_bytes
        self._stream = stream  # which must not be collected, and its socket with it
        self._descriptor = stream.socket.fileno()
        self._hub = current_hub()
        self._user: LineUser = NOBODY
        self._rest = b""
        self._watched = _NOTHING
        self._is_held = True
        self._is_over = False  # nothing more is read
        self._is_broken = False  # nothing more is written
        self._fault = ""  # why, where reading may not tell
        self.is_clogged = False
        self.sent_bytes = 0

    def begin(self, user: LineUser) -> None:
        """See `Line`."""
        self._user = user

    def hold(self) -> None:
        """See `Line`."""
        self._is_held = True
        self._watch()

    def resume(self) -> None:
        """See `Line`."""
        self._is_held = False
        self._watch()

    def write(self, data: bytes) -> bool:
        """See `Line`."""
        if self._is_broken:
            return self.is_clogged
        if self.is_clogged:
            self._rest += data
            return True
        try:
            sent = os.write(self._descriptor, data)
        except OSError as error:
            sent = self._not_sent(error)
        self.sent_bytes += sent
        if sent < len(data) and not self._is_broken:
            self._rest, self.is_clogged = data[sent:], True
            self._watch()
        return self.is_clogged

    async def release(self) -> None:
        """See `Line`."""
        self._close()
        self._user, self.is_clogged = NOBODY, False
        self._descriptor = _NO_DESCRIPTOR
        await trio.lowlevel.cancel_shielded_checkpoint()

    def _close(self) -> None:
        self._is_over = self._is_broken = True
        self._rest = b""
        self._watch()

    def _watch(self) -> None:
        """Have the hub look for what we want now; for nothing at all, not even for the end, if that is nothing."""
        wanted = _NOTHING if self._is_held or self._is_over else READABLE
        if self.is_clogged and not self._is_broken:
            wanted |= WRITABLE
        watched, self._watched = self._watched, wanted
        if wanted == watched:
            return
        if not wanted:
            self._hub.remove(self._descriptor, self._ready)
        elif watched:
            self._hub.change(self._descriptor, wanted)
        else:
            self._hub.add(self._descriptor, wanted, self._ready)

    def _ready(self, events: int) -> None:
        user = self._user
        try:
            if events != READABLE and self.is_clogged and events & ~READABLE:
                self._send_rest(user)
            if self._is_held or self._is_over or events == WRITABLE:
                return
            try:
                data = os.read(self._descriptor, self._turn_bytes)
            except BlockingIOError:
                return
            except OSError as error:
                data, self._fault = b"", error.strerror or "the connection broke"
            if data:
                user.received(data)
            else:
                self._is_over = True
                self._watch()
                user.lost(self._fault)
        except Exception as error:  # noqa: BLE001  our own fault, in one call: the others are served on
            self._close()
            user.crashed(error)

    def _not_sent(self, error: OSError) -> int:
        if not isinstance(error, BlockingIOError):
            self._is_broken = True
            if not isinstance(error, BrokenPipeError):
                self._fault = error.strerror or "the connection broke"
        return 0

    def _send_rest(self, user: LineUser) -> None:
        try:
            sent = os.write(self._descriptor, self._rest)
        except OSError as error:
            sent = self._not_sent(error)
        self.sent_bytes += sent
        self._rest = self._rest[sent:]
        if self._is_broken:
            self._rest = b""
        if not self._rest:
            self.is_clogged = False
            self._watch()
            user.drained()
