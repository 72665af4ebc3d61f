"""Where randomness comes from: handed in, never taken (so that tests replay it)."""

from typing import Protocol


class Entropy(Protocol):
    """A source of uniformly random bytes.  `transport.SystemEntropy` is the operating system's."""

    def random(self, length_bytes: int) -> bytes:
        """Give `length_bytes` fresh random bytes."""
        ...
