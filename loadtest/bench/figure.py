"""One measured figure, with the limit it must keep."""

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """What was measured; `limit` is the most it may be, None where nothing is promised."""

    name: str
    measured: float | None
    """None: it could not be measured, and `detail` says what is missing; a promise is not kept by that."""
    limit: float | None
    unit: str
    """`x` for a ratio, else the unit's name."""
    detail: str = ""
    """How it was come by, and what lies behind it, in a line."""

    @property
    def is_over(self) -> bool:
        """Whether the limit is missed."""
        return self.limit is not None and (self.measured is None or self.measured > self.limit)
