"""Holds what a call has brought until its handler takes it, bounded.

Full of audio, it drops the oldest frame and counts it; the next one taken says how many are missing before it.  The
rest is kept: before there is too much of it, the shell stops reading, and the proxy says what that means (§6).
"""

from collections import deque

import msgspec

from sottovoce.backend.items import Audio, Item

MAX_AUDIO_FRAMES = 250
"""Five seconds of frames of 20 ms."""
MAX_OTHER_ITEMS = 500


class Inbox:
    """Items in the order in which they came."""

    __slots__ = ("_audio", "_items", "_missing", "dropped")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._audio = 0
        self._missing = 0
        self.dropped = 0
        """Frames dropped so far."""

    @property
    def is_full(self) -> bool:
        """Whether to read no more for now."""
        return len(self._items) - self._audio >= MAX_OTHER_ITEMS

    def put(self, item: Item) -> None:
        """Take in an item; drops the oldest audio if that is what is too much."""
        if isinstance(item, Audio):
            if self._audio == MAX_AUDIO_FRAMES:
                self._drop_oldest_audio()
            self._audio += 1
        self._items.append(item)

    def take(self) -> Item | None:
        """Give the oldest item, None if there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Audio):
            self._audio -= 1
            if self._missing:
                item = msgspec.structs.replace(item, lost_before=item.lost_before + self._missing)
                self._missing = 0
        return item

    def _drop_oldest_audio(self) -> None:
        index, oldest = next((index, item) for index, item in enumerate(self._items) if isinstance(item, Audio))
        del self._items[index]
        self._audio -= 1
        self._missing += 1 + oldest.lost_before
        self.dropped += 1
