"""Whether the other end is still there: asked when nothing came for a while, given up when two questions brought none.

    heard ─ one heartbeat ─▶ ask ─ one more ─▶ ask ─ one more ─▶ give up

A connection can die without a word: a router that forgets it, a machine that loses power.  Whoever only listens would
wait for ever, and whoever speaks until TCP gives up, minutes later.

Being heard costs one store (`heard_at`); the rest is looked at when the shell's clock wakes.  A machine that was asleep
for an hour has heard nothing either, so it is the questions without an answer that are counted, not the time.
"""

from enum import Enum, auto

_QUESTIONS = 2
_AGAIN_SECONDS = 1.0
"""After a question that could not be put."""
_AGO = float("-inf")
_NEVER = float("inf")


class Beat(Enum):
    """What is to be done now."""

    NOTHING = auto()
    ASK = auto()
    GIVE_UP = auto()


class Heartbeat:
    """One call's, at either end."""

    __slots__ = ("_asked_at", "_seconds", "_unanswered", "heard_at")

    def __init__(self, seconds: float, now: float) -> None:
        """Begin with an other end that was heard now; with 0 seconds, or without end, nobody is ever asked."""
        self._seconds = seconds or _NEVER
        self._asked_at = _AGO
        self._unanswered = 0
        self.heard_at = now
        """When something valid last came: whoever opens a record sets it."""

    @property
    def next_at(self) -> float:
        """When `beat` has something to do, unless the other end is heard before."""
        return max(self.heard_at, self._asked_at) + self._seconds

    def beat(self, now: float) -> Beat:
        """Say what is to be done, and count on its being done."""
        if now < self.next_at:
            return Beat.NOTHING
        if self.heard_at >= self._asked_at:
            self._unanswered = 0
        if self._unanswered == _QUESTIONS:
            return Beat.GIVE_UP
        self._unanswered += 1
        self._asked_at = now
        return Beat.ASK

    def put_off(self, now: float) -> None:
        """Take back what `beat` has counted now: the question could not be put, and is due again in a moment."""
        self._unanswered -= 1
        self._asked_at = now - self._seconds + _AGAIN_SECONDS  # behind whatever was heard, or nothing were due
