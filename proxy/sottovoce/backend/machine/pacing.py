"""How fast a handler's texts go out: no faster than a client can be told, or the proxy would take them for a flood."""

from sottovoce.wire import SENT_CONTROL_FRAMES_BURST, SENT_CONTROL_FRAMES_PER_SECOND


class Pace:
    """Tokens, on the caller's clock."""

    __slots__ = ("_counted_at", "_tokens")

    def __init__(self, now: float) -> None:
        """Begin with all."""
        self._tokens = float(SENT_CONTROL_FRAMES_BURST)
        self._counted_at = now

    def wait(self, now: float) -> float:
        """Give the seconds to wait before the next text; 0 if it may go now."""
        elapsed = max(now - self._counted_at, 0.0)
        self._tokens = min(SENT_CONTROL_FRAMES_BURST, self._tokens + elapsed * SENT_CONTROL_FRAMES_PER_SECOND)
        self._counted_at = max(now, self._counted_at)
        return max(1 - self._tokens, 0.0) / SENT_CONTROL_FRAMES_PER_SECOND

    def spend(self) -> None:
        """One text went."""
        self._tokens -= 1
