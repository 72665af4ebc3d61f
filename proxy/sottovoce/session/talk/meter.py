"""A token bucket on the caller's clock (protocol §9: 50 control frames a second, burst 250)."""


class TokenBucket:
    """Holds up to `burst` tokens, filled at `rate_per_second`."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_second: float, burst: float, now: float) -> None:
        """Begin full."""
        self._rate = rate_per_second
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token; false when there is none."""
        if now > self._at:  # a caller's `now` may be a little older than the last one
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
