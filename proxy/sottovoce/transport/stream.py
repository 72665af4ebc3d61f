"""TLS over any Trio stream, as a Trio stream: the shell around `TlsCore`.

Not here: deadlines (the caller's, around `do_handshake` and `aclose`), and what is sent.

After cancellation: a cancelled `receive_some` has lost nothing and the stream is as before; a cancelled write (by
`send_all`, the handshake or an answer that TLS owes) may have left half a record on the wire, which nothing can follow,
so the stream is broken and its transport closed at once.
"""

import operator
from contextlib import suppress
from typing import Self

import trio

from sottovoce.transport.errors import TlsError
from sottovoce.transport.limits import READ_BYTES, SEND_BYTES
from sottovoce.transport.openssl import Role, TlsContext
from sottovoce.transport.tls import TlsCore


class _OneAtATime:
    """Refuses a second task where a first is still inside (Trio's contract for streams)."""

    __slots__ = ("_inside", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._inside = False

    def __enter__(self) -> Self:
        if self._inside:
            raise trio.BusyResourceError(f"another task is {self._what} this TLS stream")
        self._inside = True
        return self

    def __exit__(self, *_exception: object) -> None:
        self._inside = False


class TlsStream(trio.abc.Stream):
    """One end of a TLS connection over `transport`, which it owns and closes.

    The handshake runs in `do_handshake`, or in the first call that needs it.  What TLS finds wrong is raised by
    `do_handshake` as `TlsError`, by the other calls as `trio.BrokenResourceError` with the `TlsError` as its cause.
    `core` tells what was negotiated.
    """

    __slots__ = (
        "_broken",
        "_closed",
        "_handshake",
        "_is_server",
        "_owed",
        "_plaintext",
        "_receiving",
        "_sending",
        "_writing",
        "core",
        "transport",
    )

    def __init__(self, transport: trio.abc.Stream, context: TlsContext) -> None:
        self.transport = transport
        self.core = TlsCore(context)
        self._is_server = context.role is Role.SERVER
        self._plaintext = bytearray()
        self._owed = b""  # what TLS itself has to write: a handshake message, an alert, an answer to KeyUpdate
        self._closed = False
        self._broken = False
        self._sending = _OneAtATime("sending on")
        self._receiving = _OneAtATime("receiving from")
        self._handshake: trio.Lock | None = trio.Lock()  # until it is done
        self._writing: trio.StrictFIFOLock | None = None  # see `_lock`

    async def do_handshake(self) -> None:
        """Shake hands, if that is not done yet.

        Raises `TlsError`, its alert written; a transport that breaks meanwhile raises `trio.BrokenResourceError`.
        """
        self._check_usable()
        await trio.lowlevel.checkpoint()
        if self._handshake is not None:
            async with self._handshake:
                if not self.core.handshake_complete:
                    await self._write_owed()  # a client's first message
                while not self.core.handshake_complete:
                    self._plaintext += await self._receive_once()
            self._handshake = None
        self._check_usable()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`.  Cancelled or failed, it leaves the stream broken for sending."""
        with self._sending:
            await self._ready()
            if len(data) <= SEND_BYTES:
                await self._write_encrypted(bytes(data))
                return
            with memoryview(data) as view:
                for start in range(0, len(view), SEND_BYTES):
                    await self._write_encrypted(bytes(view[start : start + SEND_BYTES]))

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport may take bytes."""
        with self._sending:
            self._check_usable()
            async with self._lock:
                await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Give plaintext as soon as there is some; `b""` after the peer's close_notify, and only then."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receiving:
            await self._ready()
            if self._plaintext or self.core.closed_by_peer:
                await trio.lowlevel.checkpoint()
                return self._take(max_bytes)
            try:
                while not (plaintext := await self._receive_once()) and not self.core.closed_by_peer:
                    pass
            except TlsError as error:
                raise trio.BrokenResourceError(str(error)) from error
            if max_bytes is None or len(plaintext) <= max_bytes:
                return plaintext
            self._plaintext += plaintext
            return self._take(max_bytes)

    async def aclose(self) -> None:
        """Say close_notify if nothing is in the way, then close the transport.

        Does not wait for the peer's close_notify.  Cancelled, it still closes the transport.
        """
        was_closed, self._closed = self._closed, True
        try:
            # While another task is in the middle of a write nothing can be said: closing the transport wakes that task.
            if not was_closed and not self._broken and not self._lock.locked():
                self.core.close()
                await self._write_owed()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer has gone: there is nobody to say it to
        finally:
            try:
                await self.transport.aclose()
            finally:
                self.core.release()

    def hand_over(self) -> tuple[bytes, bytes]:
        """Give the plaintext that nobody has read yet, and what TLS itself has to write, to who drives `core` now."""
        self._check_usable()
        taken, owed = self._take(None), self._owed
        self._owed, self._writing = b"", None
        return taken, owed

    def hand_back(self, taken: bytes, owed: bytes, *, is_cut: bool) -> None:
        """Take the connection back, and what nobody has read or written; `is_cut`: a record was left half-written."""
        self._plaintext[:0] = taken
        self._owed += owed
        self._broken = self._broken or is_cut

    def _check_usable(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this TLS stream was closed")
        if self._broken:
            raise trio.BrokenResourceError("a write on this TLS stream was cancelled")

    async def _ready(self) -> None:
        """Make sure of the handshake, which another task may be in the middle of."""
        self._check_usable()
        if not self.core.handshake_complete:
            try:
                await self.do_handshake()
            except TlsError as error:
                raise trio.BrokenResourceError(str(error)) from error

    def _take(self, max_bytes: int | None) -> bytes:
        taken = bytes(self._plaintext[:max_bytes])
        del self._plaintext[:max_bytes]
        return taken

    async def _receive_once(self) -> bytes:
        """Wait for bytes and decrypt them; write what TLS answers."""
        if self.core.failure is not None:
            raise self.core.failure
        was_complete = self.core.handshake_complete
        try:
            data = await self.transport.receive_some(READ_BYTES)
        except trio.ClosedResourceError:
            self._check_usable()  # a cancelled write of another task has closed it, not our caller
            raise
        if self._closed:
            raise trio.ClosedResourceError("this TLS stream was closed")
        try:
            if not data:
                self.core.receive_eof()
            plaintext = self.core.receive(bytes(data))
        except TlsError:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._write_owed()  # the alert
            raise
        if answer := self.core.to_send():
            self._owed += answer
            await self._write_answer(was_complete=was_complete)
        return plaintext

    async def _write_answer(self, *, was_complete: bool) -> None:
        """Write what the last received bytes made TLS say; `was_complete` is how the handshake stood before them.

        A server that has just completed the handshake owes its session tickets (see `contexts`).  They go out with the
        first data: written now, they would block a server whose client only ever sends.
        """
        if was_complete:
            # A peer that no longer reads may have said something before, which our caller must hear.
            with suppress(trio.BrokenResourceError):
                await self._write_owed()
        elif not (self._is_server and self.core.handshake_complete):
            await self._write_owed()

    @property
    def _lock(self) -> trio.StrictFIFOLock:
        """What is held over encrypting and writing: records leave in the order of their making."""
        if self._writing is None:  # a call that was handed over has no use for one
            self._writing = trio.StrictFIFOLock()
        return self._writing

    async def _write_owed(self) -> None:
        await self._lock_writing()
        try:
            await self._write()
        finally:
            self._lock.release()

    async def _write_encrypted(self, plaintext: bytes) -> None:
        await self._lock_writing()
        try:
            self._check_usable()
            self.core.send(plaintext)
            await self._write()
        except TlsError as error:
            raise trio.BrokenResourceError(str(error)) from error
        finally:
            self._lock.release()

    async def _lock_writing(self) -> None:
        """Acquire the lock; without a turn of the scheduler if it is free, as the write that follows takes one."""
        if self._lock.locked():
            await self._lock.acquire()
        else:
            self._lock.acquire_nowait()

    async def _write(self) -> None:
        """Write all that TLS has ready, with the lock held."""
        data, self._owed = self._owed + self.core.to_send(), b""
        if not data:
            await trio.lowlevel.checkpoint()
            return
        try:
            await self.transport.send_all(data)
        except trio.Cancelled:
            self._broken = True
            await trio.aclose_forcefully(self.transport)
            raise
