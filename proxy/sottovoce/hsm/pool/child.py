"""One token process, seen from the proxy: spawned, spoken to over a socketpair, killed.

Linux ties PR_SET_PDEATHSIG to the *thread* that forked.  Trio spawns from a thread of its pool, which ends after ten
idle seconds and would take the token process with it.  So a `Spawner` keeps one thread for this, as long as the token
is open; that is why `trio.lowlevel.open_process` is not used.
"""

import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import trio

from sottovoce.hsm.errors import HsmUnavailable
from sottovoce.hsm.messages import FrameReader, Start, Started, decode_message, encode_frame
from sottovoce.primitives import wipe_bytes

_RECEIVE_BYTES = 65536
_FAREWELL_SECONDS = 1.0
"""How long a process may take to end by itself when its socket closes."""
_NOT_INHERITED = frozenset({"OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE"})
"""Variables that would change what the cryptographic library in the token process does."""


class Spawner:
    """Starts token processes from one thread that lives on."""

    def __init__(
        self,
        command: Iterable[str],
        environment: dict[str, str],
        *,
        without: frozenset[str] = frozenset(),
        lent: tuple[int, ...] = (),
    ) -> None:
        """Take the command line, to which socket and parent are added, and variables to set for it.

        Of ours it gets none of those `without`, other tokens' PINs; descriptors that are `lent` it inherits, if they
        are open.
        """
        self._command = tuple(command)
        left_out = _NOT_INHERITED | without
        self._environment = {k: v for k, v in os.environ.items() if k not in left_out} | environment
        self._lent = lent
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="token-spawner")

    async def spawn(self) -> "TokenChild":
        """Start a process.  Not cancellable once it began: it takes milliseconds, and its result must have an owner.

        Raises OSError, having left nothing.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                popen, ending = await trio.to_thread.run_sync(
                    lambda: self._thread.submit(self._popen, theirs.fileno()).result(), abandon_on_cancel=False
                )
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)  # noqa: FBT003  its only argument
        return TokenChild(popen, ending, ours)

    def close(self) -> None:
        """Let the thread end; a process that still runs ends with it."""
        self._thread.shutdown(wait=False)

    def _popen(self, channel: int) -> "tuple[subprocess.Popen[bytes], int]":
        """Give the process, and a descriptor that is readable once it has ended: there may be none left by then."""
        popen = subprocess.Popen(  # noqa: S603  our own command, no shell
            [*self._command, str(channel), str(os.getpid())],
            pass_fds=(channel, *filter(_is_open, self._lent)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=self._environment,
            process_group=0,  # Ctrl-C at a terminal is for the proxy alone, also while this one still imports
        )
        try:
            return popen, os.pidfd_open(popen.pid)
        except OSError:
            popen.kill()
            popen.wait()
            raise


def was_given(descriptor: int) -> bool:
    """Whether a descriptor came from who started us: what we open ourselves is never inheritable (PEP 446)."""
    return _is_open(descriptor) and os.get_inheritable(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class TokenChild:
    """A running token process.  Leaving its `async with` block ends it, whatever state it is in."""

    def __init__(self, popen: "subprocess.Popen[bytes]", ending: int, channel: socket.socket) -> None:
        """Made by `Spawner.spawn` only."""
        self._popen = popen
        self._ending = ending
        self._channel = channel
        self._reader = FrameReader()
        self._bodies: deque[bytes] = deque()
        self.pid = popen.pid

    async def start(self, start: Start) -> None:
        """Tell it what to do and wait until it is ready.  Raises what it failed with, or HsmUnavailable if it died."""
        await self.send(encode_frame(start))
        body = await self.receive()
        if body is None:
            text = "the token process ended while it started"
            raise HsmUnavailable(text)
        answer = decode_message(body, Started)
        if answer.failure is not None:
            raise answer.failure.to_error()

    async def send(self, frame: bytes) -> None:
        """Send a frame.  Raises HsmUnavailable when the process is gone."""
        rest = memoryview(frame)
        while rest := rest[self.write(rest) :]:
            await self.writable()
        await trio.lowlevel.checkpoint()

    def write(self, data: memoryview) -> int:
        """Give how many of these bytes it takes now; they are on their way.  Raises HsmUnavailable when it is gone."""
        try:
            return self._channel.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            text = "the token process is gone"
            raise HsmUnavailable(text) from None

    async def writable(self) -> None:
        """Wait until it may take more."""
        await trio.lowlevel.wait_writable(self._channel)

    async def receive(self) -> bytes | None:
        """Give the body of the next frame it sends, or None when it has ended; the caller wipes it.

        Cancelled, it loses nothing.  Raises TokenProcessFailed when what comes is no frame.
        """
        while not self._bodies:
            await trio.lowlevel.wait_readable(self._channel)
            try:
                data = self._channel.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return None
            if not data:
                return None
            self._bodies.extend(self._reader.receive(data))
            wipe_bytes(data)
        return self._bodies.popleft()

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        self._popen.send_signal(signal.SIGKILL)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        trio.lowlevel.notify_closing(self._channel)
        self._channel.close()
        try:
            with trio.CancelScope(shield=True):
                with trio.move_on_after(_FAREWELL_SECONDS):
                    await self._ended()
                if self._popen.poll() is None:
                    self.kill()
                    await self._ended()
        finally:
            os.close(self._ending)

    async def _ended(self) -> None:
        """Wait until the process has ended, and reap it."""
        if self._popen.poll() is None:
            await trio.lowlevel.wait_readable(self._ending)
            self._popen.wait()
