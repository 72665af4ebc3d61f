"""What a call has carried, in plain numbers: kept by the call, added up when somebody asks.

Nothing is counted twice for the sake of metrics, and no frame touches an object of theirs: see `metrics/frames`.
"""

from typing import Self

import msgspec


class CallCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of one call, or of many together; each number only grows.  Audio, or data in a data session."""

    from_client: int = 0
    """Opened."""
    lost_from_client: int = 0
    """Sent by the client and lost on the way, on a carriage that loses."""
    to_backend: int = 0
    """Written to the backend."""
    to_backend_dropped: int = 0
    """Dropped, oldest first, because the backend did not read."""
    from_backend_ahead: int = 0
    """Dropped as they came, because the backend was too far ahead of real time."""
    to_client: int = 0
    """Sealed."""
    to_client_dropped: int = 0
    """Dropped, oldest first, because the client did not take them."""
    to_client_oversize: int = 0
    """Dropped because they did not fit the one size of padding class 2."""
    generations: int = 0
    """Keys that frames to the client were sealed under."""

    def __add__(self, other: Self) -> Self:
        """Give both together."""
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})
