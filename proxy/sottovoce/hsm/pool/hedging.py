"""When a call is worth a second sending to another node, though the first is not late yet.  Pure.

A node's answers to each operation are timed, and the 95th percentile of the latest ones is kept.  A call that is out
for longer than the quickest node's would most likely be answered sooner elsewhere.  All such sendings together are at
most a twentieth of the load; what is saved last is for calls that are out for twice as long, which seldom are answered
just then.
"""

from collections import deque

_WINDOW = 128
"""Chosen: answers that a percentile is taken over; a token's changes show within a second or two of load."""
_FEWEST = 20
"""Below so many answers there is no 95th percentile."""
_EVERY = 8
"""Chosen: a percentile is taken anew after so many answers, for sorting costs more than a call's other book-keeping."""
_PRICE = 20
"""First sendings that pay for a second one."""
_MOST_SAVED = 4 * _PRICE
"""Chosen: four second sendings may follow at once after a quiet time."""


class Latencies:
    """How long a node's latest answers took, by operation."""

    def __init__(self) -> None:
        """Begin with none."""
        self._windows: dict[str, deque[float]] = {}
        self._since: dict[str, int] = {}
        self._percentiles: dict[str, float] = {}

    def add(self, operation: str, seconds: float) -> None:
        """Count an answer."""
        window = self._windows.get(operation)
        if window is None:
            window = self._windows[operation] = deque(maxlen=_WINDOW)
            self._since[operation] = 0
        window.append(seconds)
        self._since[operation] += 1
        if len(window) >= _FEWEST and self._since[operation] >= _EVERY:
            self._since[operation] = 0
            self._percentiles[operation] = sorted(window)[len(window) * 95 // 100]

    def p95(self, operation: str) -> float | None:
        """Give the seconds within which 95 of 100 were answered; None where too few were."""
        return self._percentiles.get(operation)


class Budget:
    """What second sendings may cost."""

    def __init__(self) -> None:
        """Begin with nothing saved."""
        self._saved = 0

    def earn(self) -> None:
        """A call was sent the first time."""
        self._saved = min(_MOST_SAVED, self._saved + 1)

    def has_price(self, *, is_urgent: bool) -> bool:
        """Whether a second sending can be paid; what is left may be for urgent ones only."""
        return self._saved >= (_PRICE if is_urgent else 2 * _PRICE)

    def spend(self, *, is_urgent: bool) -> bool:
        """Take the price of a second sending; false where it cannot be paid."""
        if not self.has_price(is_urgent=is_urgent):
            return False
        self._saved -= _PRICE
        return True
