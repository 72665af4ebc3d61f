"""How much of what a model said the caller has heard, item by item.  Pure.

A server makes audio faster than it is played.  When the caller breaks in, it wants to know where each item was cut off,
or it believes that all of it was heard.
"""

from collections import deque
from typing import Final

MAX_PARTS: Final = 64
"""Parts of items that are remembered; the oldest is forgotten first, and has been played long since."""


class _Part:
    __slots__ = ("content_index", "item_id", "said_bytes")

    def __init__(self, item_id: str, content_index: int) -> None:
        self.item_id = item_id
        self.content_index = content_index
        self.said_bytes = 0


class Spoken:
    """The parts of items whose audio was taken since the caller last broke in, in the order of their audio."""

    def __init__(self, bytes_per_second: int) -> None:
        """Begin with nothing said."""
        self._bytes_per_second = bytes_per_second
        self._parts: deque[_Part] = deque(maxlen=MAX_PARTS)

    def add(self, item_id: str, content_index: int, said_bytes: int) -> None:
        """So much more audio was taken to be played."""
        last = self._parts[-1] if self._parts else None
        if last is None or (last.item_id, last.content_index) != (item_id, content_index):
            last = _Part(item_id, content_index)
            self._parts.append(last)
        last.said_bytes += said_bytes

    def cut(self, unplayed_bytes: int) -> list[tuple[str, int, int]]:
        """The last so many bytes are not played: give item, part and milliseconds heard, oldest first; forget all.

        Items without an id cannot be told.
        """
        cuts: list[tuple[str, int, int]] = []
        while self._parts and unplayed_bytes > 0:
            part = self._parts.pop()
            heard_bytes = max(part.said_bytes - unplayed_bytes, 0)
            unplayed_bytes -= part.said_bytes
            if part.item_id:
                cuts.append((part.item_id, part.content_index, 1000 * heard_bytes // self._bytes_per_second))
        self._parts.clear()
        return cuts[::-1]
