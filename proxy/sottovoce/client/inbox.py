"""Holds what a call has received until its user takes it, bounded: the keys turn whether the user reads or not.

Full, it drops the oldest audio and counts it; the next frame taken says how many are missing before it.  Everything
else is kept, up to a number that nobody who reads at all comes near; beyond it the caller has to end the call.  In a
call without audio the caller stops reading the network before: `is_stocked`.
"""

from collections import deque

import msgspec

from sottovoce.client.items import Audio, Item

MAX_AUDIO_FRAMES = 250
"""Five seconds of frames of 20 ms."""
MAX_OTHER_ITEMS = 1_000
STOCK_ITEMS = 500


class Inbox:
    """Items in the order in which they came."""

    __slots__ = ("_audio", "_items", "_missing", "dropped", "max_audio")

    def __init__(self, max_audio: int = MAX_AUDIO_FRAMES) -> None:
        self._items: deque[Item] = deque()
        self._audio = 0
        self._missing = 0
        self.max_audio = max_audio
        self.dropped = 0
        """Frames dropped so far."""

    @property
    def has_items(self) -> bool:
        """Whether there is something to take."""
        return bool(self._items)

    @property
    def overflows(self) -> bool:
        """Whether more is waiting, beside audio, than should ever wait."""
        return len(self._items) - self._audio > MAX_OTHER_ITEMS

    @property
    def is_stocked(self) -> bool:
        """Whether there is enough to take for a while."""
        return len(self._items) >= STOCK_ITEMS

    def put(self, item: Item) -> None:
        """Take in an item; drops the oldest audio if that is what is too much."""
        if isinstance(item, Audio):
            if self._audio == self.max_audio:
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
                item = msgspec.structs.replace(item, lost_before=self._missing)
                self._missing = 0
        return item

    def _drop_oldest_audio(self) -> None:
        index = next(index for index, item in enumerate(self._items) if isinstance(item, Audio))
        del self._items[index]
        self._audio -= 1
        self._missing += 1
        self.dropped += 1
