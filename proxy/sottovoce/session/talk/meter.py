"""A token bucket on the caller's clock (protocol §9: 50 control frames a second, burst 250).

What is kept is when the bucket will be full again: each token that is taken is one more to wait for.
"""

from typing import Final

_ROUNDING: Final = 1e-3
"""Of a token, which sums of floating point may be off by."""


class TokenBucket:
    """Holds up to `burst` tokens, filled at `rate_per_second`."""

    __slots__ = ("_ahead", "_full_at", "_seconds")

    def __init__(self, rate_per_second: float, burst: float, now: float) -> None:
        """Begin full."""
        self._seconds = 1 / rate_per_second  # of one token
        self._ahead = (burst - 1 + _ROUNDING) * self._seconds
        self._full_at = now

    def take(self, now: float) -> bool:
        """Take one token; false when there is none."""
        full_at = self._full_at
        if full_at <= now:
            self._full_at = now + self._seconds
            return True
        if full_at - now > self._ahead:
            return False
        self._full_at = full_at + self._seconds
        return True
