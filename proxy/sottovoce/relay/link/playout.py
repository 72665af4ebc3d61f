"""What a bot has sent and the client has not been given yet: audio and marks, at about the speed of speech.  Pure.

Some vendors buffer whatever a bot sends and play it in their own time, so bots send whole utterances at once and rely
on `clear` to take them back.  A client, whose network may stall, must not be given a minute of audio at once.  So it is
given `LEAD_SECONDS` more than it can have played, and the rest waits here, where `clear` finds it.

`take(now)` gives what is due: codec frames, and between them the marks, each under a name of our own (`7:greeting`),
since bots use the same name again and again, and a client that has cleared a mark may still say that it was played.
Marks that come closer together than a client can be told (protocol §9) are one mark for it, behind the last of them.

A part of a frame waits for more audio; a mark, or `FLUSH_SECONDS` without any, sends it on its way as it is.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from sottovoce.wire import MAX_MARK_BYTES

LEAD_SECONDS: Final = 0.4
"""Fewer frames of any duration than wait for a client by default (`voice.queue_frames`, 50)."""
MAX_WAITING_SECONDS: Final = 60
FLUSH_SECONDS: Final = 0.1
MARK_SPACING_SECONDS: Final = 0.1
"""Half of what the session tells a client for its application (20 a second): dtmf and clear want their share."""
MAX_MARKS: Final = 1_000
"""Marks that wait here, and as many that the client has not answered."""
_MERGE_BYTES = 1_600


class Playout:
    """The audio and marks of one bot.  Times are those that are handed in."""

    def __init__(self, frame_milliseconds: int, bytes_per_second: int, convert: Callable[[bytes], bytes]) -> None:
        """`bytes_per_second` is the bot's; `convert` makes codec bytes of a frame, or of the end of one."""
        self._bytes_per_second = bytes_per_second
        self._frame_bytes = bytes_per_second * frame_milliseconds // 1000
        self._max_waiting_bytes = MAX_WAITING_SECONDS * bytes_per_second
        self._convert = convert
        self._items: deque[bytes | _Mark] = deque()
        self._offset = 0
        """Bytes of the first item that were taken."""
        self._part = b""
        """Less than a frame, taken out of the items."""
        self.waiting_bytes = 0
        """Of audio that was not given yet: to be looked at, not touched."""
        self._waiting_marks = 0
        self._reached: list[str] = []
        """Names of marks that all audio before was given for, and whose turn has not come."""
        self._given: dict[str, list[str]] = {}
        """Names of marks by what the client knows them as."""
        self._given_marks = 0
        self._marks = 0
        self._until = -1.0
        """When the client will have played what it was given, at the earliest."""
        self._heard_at = -1.0
        self._next_mark_at = -1.0

    def put_audio(self, audio: bytes, now: float) -> int:
        """Append audio.  What is beyond a minute is left out; gives the number of frames that were."""
        room = self._max_waiting_bytes - self.waiting_bytes
        taken = audio[:room]
        if taken:
            last = self._items[-1] if self._items else None
            if isinstance(last, bytes) and len(last) < _MERGE_BYTES:
                self._items[-1] = last + taken
            else:
                self._items.append(taken)
            self.waiting_bytes += len(taken)
            self._heard_at = now
        return -(-(len(audio) - len(taken)) // self._frame_bytes)

    def put_mark(self, name: str) -> bool:
        """Append a mark; False when so many wait that no more are taken."""
        if self._waiting_marks == MAX_MARKS:
            return False
        self._waiting_marks += 1
        self._items.append(_Mark(name))
        return True

    def clear(self) -> list[str]:
        """Forget all audio; give the names of all marks that have not come back, oldest first."""
        names = [name for group in self._given.values() for name in group]
        names += self._reached
        names += [item.name for item in self._items if isinstance(item, _Mark)]
        self._items.clear()
        self._given.clear()
        self._reached.clear()
        self._part = b""
        self._offset = self.waiting_bytes = self._waiting_marks = self._given_marks = 0
        self._until = -1.0  # the client drops what it was given
        return names

    def played(self, alias: str) -> list[str]:
        """The client has played past a mark: give its names; none if it was cleared, or never was."""
        names = self._given.pop(alias, [])
        self._given_marks -= len(names)
        return names

    def unplayed_bytes(self, now: float) -> int:
        """Give how much of the bot's audio the client cannot have played yet, given to it or not."""
        return self.waiting_bytes + round(max(self._until - now, 0) * self._bytes_per_second)

    def deadline(self) -> float | None:
        """When `take` will give something, if nothing comes before."""
        due = [self._until - LEAD_SECONDS] if self._items else []
        if self._part and not self._items:
            due.append(self._heard_at + FLUSH_SECONDS)
        if self._reached:
            due.append(self._next_mark_at)
        return min(due, default=None)

    def take(self, now: float) -> list[bytes | str]:
        """Give what is due: frames as codec bytes, marks as the names that the client is to know them by."""
        given: list[bytes | str] = []
        self._until = max(self._until, now)
        while self._until - LEAD_SECONDS <= now:
            self._reach_marks(given, now)
            frame = self._next_frame(now)
            if not frame:
                break
            self._until += len(frame) / self._bytes_per_second
            given.append(self._convert(frame))
        self._reach_marks(given, now)
        return given

    def _next_frame(self, now: float) -> bytes:
        """Take a frame; less, when a mark or silence follows; nothing, when that is not known yet."""
        while len(self._part) < self._frame_bytes and self._items:
            item = self._items[0]
            if isinstance(item, _Mark):
                break
            end = self._offset + self._frame_bytes - len(self._part)
            self._part += item[self._offset : end]
            if end < len(item):
                self._offset = end
            else:
                self._items.popleft()
                self._offset = 0
        if len(self._part) < self._frame_bytes and not self._items and now < self._heard_at + FLUSH_SECONDS:
            return b""
        frame, self._part = self._part, b""
        self.waiting_bytes -= len(frame)
        return frame

    def _reach_marks(self, given: list[bytes | str], now: float) -> None:
        """Take the marks that nothing stands before, and give the client one for all, if it is time."""
        while not self._part and self._items and isinstance(self._items[0], _Mark):
            self._reached.append(self._items[0].name)
            self._items.popleft()
        if self._reached and now >= self._next_mark_at:
            self._next_mark_at = now + MARK_SPACING_SECONDS
            given.append(self._give_marks())

    def _give_marks(self) -> str:
        """Note the marks as given, all under one name; forget the oldest that a client never answered."""
        names, self._reached = self._reached, []
        self._waiting_marks -= len(names)
        while self._given and self._given_marks + len(names) > MAX_MARKS:
            self.played(next(iter(self._given)))
        self._marks += 1
        alias = _alias(self._marks, names[-1])
        self._given[alias] = names
        self._given_marks += len(names)
        return alias


class _Mark:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _alias(number: int, name: str) -> str:
    return f"{number}:{name}".encode()[:MAX_MARK_BYTES].decode(errors="ignore")
