"""The processes that carry calls, as whoever keeps them sees them.  Pure."""

from collections import Counter

import msgspec

from sottovoce.admin import WorkersStatus


class Loss(msgspec.Struct, frozen=True):
    """A worker that ended unasked, and when (`Clock.now`)."""

    at: float
    worker: int
    reason: str


class Staff(msgspec.Struct, frozen=True):
    """How they do."""

    shown: WorkersStatus
    losses: tuple[Loss, ...] = ()
    """The last ones, the newest last."""

    @property
    def serving(self) -> int:
        """How many take calls."""
        return self.states["serving"]

    @property
    def states(self) -> Counter[str]:
        """How many there are in each state."""
        return Counter(each.state for each in self.shown.each)
