"""The bytes of a fuzz input, read as choices.

A conversation's target reads its input as a small programme.  Once the bytes are used up every choice is the first one,
so any input means something, and one more byte at the end changes nothing before it.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads an input from its start."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def are_left(self) -> bool:
        """Whether there is a byte that was not read yet."""
        return self._offset < len(self._data)

    def take(self, length: int) -> bytes:
        """The next bytes; fewer where the input ends."""
        start, self._offset = self._offset, min(self._offset + length, len(self._data))
        return self._data[start : self._offset]

    def byte(self) -> int:
        return int.from_bytes(self.take(1))

    def number(self, length: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(length))

    def below(self, limit: int) -> int:
        """An index of something that has `limit` places, at least one."""
        return (self.byte() if limit <= 256 else self.number(2)) % limit

    def flag(self) -> bool:
        return bool(self.byte() & 1)

    def pick(self, among: Sequence[T]) -> T:
        return among[self.below(len(among))]

    def piece(self) -> bytes:
        """Bytes behind their own length."""
        return self.take(self.byte())

    def rest(self) -> bytes:
        return self.take(len(self._data))
