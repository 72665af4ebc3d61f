"""One step of a handshake in each turn of the event loop.

A step of a handshake takes as long as thirty frames of audio, and the loop does all that is ready before it looks at
its sockets again: a hundred hellos that come at once would hold up every call for a tenth of a second.  So handshakes
queue here, first come, first served, and between two of them everybody else has a turn.
"""

import trio


class Turnstile:
    """Lets one task through in a turn."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._is_taken = False
        self._queue = trio.lowlevel.ParkingLot()

    async def go_through(self) -> None:
        """Wait for a turn of one's own: what the caller does before it next waits is done in it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_taken:
            await self._queue.park()
        else:
            self._is_taken = True
            await trio.lowlevel.cancel_shielded_checkpoint()
        # This is a turn behind whoever woke us, and who is woken now runs in the turn after this one.
        self._is_taken = bool(self._queue)
        self._queue.unpark()


class Queueing(trio.abc.Stream):
    """A connection whose bytes are handed out in turn, for as long as it is in its handshake.

    A cancelled `receive_some` may have lost bytes.
    """

    def __init__(self, stream: trio.abc.Stream, turnstile: Turnstile) -> None:
        """Stand before `stream`."""
        self.stream = stream
        self._turnstile = turnstile

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for bytes, then for a turn."""
        data = await self.stream.receive_some(max_bytes)
        await self._turnstile.go_through()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, as the connection does."""
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait, as the connection does."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the connection."""
        await self.stream.aclose()
