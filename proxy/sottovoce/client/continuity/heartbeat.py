"""When to ping on a connection on which nothing is heard, and when to give it up.

A connection can die without a word: a router that forgets it, a server that loses power.  Whoever only listens would
wait for ever, and whoever speaks until TCP gives up, minutes later.

    nothing heard for T: ping ─▶ nothing for T: ping ─▶ nothing for T: it is dead

Hearing costs one store (`heard_at`): the deadline is looked at when it comes, and only then moved on.  A machine that
was asleep for an hour has heard nothing either; so it is the pings without an answer that are counted, not the time.
"""

from enum import Enum, auto

UNANSWERED = 3
"""A connection is dead after so many times the interval without a word."""
_AGAIN_SECONDS = 1.0
"""After a ping that could not be sent."""
_AGO = float("-inf")


class Beat(Enum):
    """What is due."""

    NOTHING = auto()
    PING = auto()
    DEAD = auto()


class Heartbeat:
    """Minds one connection, from `now` on; `interval_seconds` may be infinite."""

    __slots__ = ("_asked", "_asked_at", "_interval", "due_at", "heard_at")

    def __init__(self, interval_seconds: float, now: float) -> None:
        self._interval = interval_seconds
        self._asked = 0
        self._asked_at = _AGO
        self.heard_at = now
        """When a valid record came last: whoever opens one sets it."""
        self.due_at = now + interval_seconds
        """When to call `beat`."""

    def beat(self, now: float) -> Beat:
        """Say what is due, and move `due_at` on.  Too early, it is nothing."""
        if now < self.due_at:
            return Beat.NOTHING
        if self.heard_at >= self._asked_at:
            self._asked = 0
        if not self._asked and self.heard_at + self._interval > now:
            self.due_at = self.heard_at + self._interval
            return Beat.NOTHING
        self._asked += 1
        self._asked_at = now
        self.due_at = now + self._interval
        return Beat.DEAD if self._asked >= UNANSWERED else Beat.PING

    def put_off(self, now: float) -> None:
        """Take back what `beat` has counted now: the ping could not be sent, and is due again in a moment."""
        self._asked -= 1
        self.due_at = now + _AGAIN_SECONDS
