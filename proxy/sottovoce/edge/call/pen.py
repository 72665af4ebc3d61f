"""Writes what a call says, and knows how long the client has taken none of it."""

from typing import Protocol

from sottovoce.transport import Clock

_PIECE_BYTES = 16_384
"""A client that takes so many is reading, however much waits behind them."""
_NEVER = float("inf")


class _Stream(Protocol):
    async def send_all(self, data: bytes | memoryview, /) -> None: ...


class Pen:
    """One call's.  A cancelled `write` has left part of a message: nothing can follow it."""

    __slots__ = ("_clock", "_patience_seconds", "_stream", "stalls_at")

    def __init__(self, stream: _Stream, clock: Clock, patience_seconds: float) -> None:
        """Write to `stream`; a piece that takes longer than the patience is a stall."""
        self._stream = stream
        self._clock = clock
        self._patience_seconds = patience_seconds
        self.stalls_at = _NEVER
        """When the client counts as not reading, unless it takes something before."""

    @property
    def is_writing(self) -> bool:
        """Whether a piece is on its way: what is put behind it has not left."""
        return self.stalls_at < _NEVER

    async def write(self, data: bytes) -> None:
        """Write all of it."""
        if len(data) <= _PIECE_BYTES:
            await self._write_piece(data)
            return
        with memoryview(data) as view:
            for start in range(0, len(view), _PIECE_BYTES):
                await self._write_piece(view[start : start + _PIECE_BYTES])

    async def _write_piece(self, piece: bytes | memoryview) -> None:
        self.stalls_at = self._clock.now() + self._patience_seconds
        await self._stream.send_all(piece)
        self.stalls_at = _NEVER
