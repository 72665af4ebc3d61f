"""A shared connection: the line under a `MuxMachine`, its timers, its end.

It belongs to no call, since each may be the first to leave, so its task is one of the run's own, as those of lines are:
it ends with the connection, which ends when nobody has used it for a while, and with the run at the latest.
"""

import time
from typing import Final

import trio

from sottovoce.primitives import one_line
from sottovoce.relay.errors import BackendDown, BackendFault
from sottovoce.relay.mux.machine import MuxMachine
from sottovoce.transport import current_hub, line_over

_CLOSE_SECONDS: Final = 1.0
"""For the last bytes."""
_TURN_BYTES: Final = 16_384
"""Read at once: some 25 frames, which are as many calls'."""


class SharedConnection:
    """Made in a task of Trio's, with a stream on which the greetings were exchanged; `run` serves it."""

    def __init__(
        self, stream: trio.abc.Stream, early: bytes, *, silence_seconds: float, gather_seconds: float = 0.0
    ) -> None:
        """`early` came behind the greeting.  `gather_seconds`: from one write to the next, at least."""
        self._stream = stream
        self._early = early
        self._line = line_over(stream, _TURN_BYTES)
        self._silence_seconds = silence_seconds
        self._gather_seconds = gather_seconds
        self._wrote_at = float("-inf")
        self._clogged_at = float("inf")
        self._clogged_bytes: int = 0
        self._hub = current_hub()
        self.machine = MuxMachine(
            trio.current_time(), silence_seconds=silence_seconds, wants_to_write=self._write_behind_this_turn
        )
        self._is_over = trio.Event()
        self._has_left = trio.Event()
        self._line.begin(self)

    async def run(self) -> None:
        """Serve until it is over, or cancelled; close the stream.  Raises nothing."""
        try:
            if self._early:
                self.received(self._early)
            self._line.resume()
            while not self._is_over.is_set():
                give_up_at = self._clogged_at + self._silence_seconds
                with trio.move_on_at(min(self.machine.next_deadline(), give_up_at)):
                    await self._is_over.wait()
                self._on_deadline(trio.current_time())
        finally:
            self._lose("the proxy ends")
            self._write_or_end()  # what was still to be gathered
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_SECONDS):
                if self._line.is_clogged:
                    self._has_left = trio.Event()
                    await self._has_left.wait()
            await self._line.release()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_SECONDS):
                await self._stream.aclose()

    # What the line tells.

    def received(self, data: bytes) -> None:
        """Take what the backend said."""
        self.machine.receive(data, trio.current_time())
        self._look()

    def drained(self) -> None:
        """Write what has come up meanwhile."""
        self.machine.is_clogged = False
        self._clogged_at = float("inf")
        self._write()
        if not self._line.is_clogged:
            self._has_left.set()

    def lost(self, reason: str) -> None:
        """End."""
        self._lose(reason or "the backend ended the connection")

    def crashed(self, error: Exception) -> None:
        """A fault of our own, of no call: all end."""
        self._lose(f"a fault in the proxy: {type(error).__name__}: {error}")

    def _on_deadline(self, now: float) -> None:
        """Give up a backend that talks and does not read, which no kernel does on a local socket."""
        if now >= self._clogged_at + self._silence_seconds:
            if self._line.sent_bytes == self._clogged_bytes:
                self._lose(f"it took nothing for {self._silence_seconds:g} s")
            self._clogged_at, self._clogged_bytes = now, self._line.sent_bytes  # slow is not stuck
        self.machine.on_deadline(now)
        self._look()

    def _lose(self, reason: str) -> None:
        self.machine.lose(BackendDown(BackendFault.LOST, one_line(reason)))
        self._look()

    def _look(self) -> None:
        if self.machine.is_ended:
            self._line.hold()
            self._is_over.set()

    def _write_behind_this_turn(self) -> None:
        """Write what comes together in one piece: of this turn, and where they are dense of the next few as well."""
        seconds = self._gather_seconds - (time.monotonic() - self._wrote_at)
        if seconds > 0:
            self._hub.later(seconds, self._write_or_end)
        else:
            self._hub.after_turn(self._write_or_end)

    def _write_or_end(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  the hub must not hear of it: it serves all connections
            self.crashed(error)

    def _write(self) -> None:
        machine, line = self.machine, self._line
        self._wrote_at = time.monotonic()
        while not line.is_clogged and (data := machine.to_send()):
            line.write(data)
        if line.is_clogged and not machine.is_clogged:
            self._clogged_at, self._clogged_bytes = trio.current_time(), line.sent_bytes
        machine.is_clogged = line.is_clogged
