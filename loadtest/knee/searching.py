"""Finds the most calls that are held, asking for as few runs as it can.  Pure.

Steps go up by a half each until one misses the limit; then the middle between the most that was held and the least that
was not, until the gap is narrow.  A step without a verdict, because the generator was late or others had the server's
core, is tried once more; then it counts as a ceiling that says nothing about the proxy, and the search goes on below.
"""

from enum import Enum

import msgspec

from loadtest.replay import Outcome
from loadtest.report import words

STEP = 1.5
_TRIES = 2
_MOST_LOST = 0.001
"""Of the frames; what is beyond is not held, however quick the rest."""
_MOST_WAITED_CORES = 0.1


class Verdict(Enum):
    """What a step has shown."""

    HELD = "held"
    MISSED = "not held"
    NONE = "no verdict"


class Judgement(msgspec.Struct, frozen=True):
    """A verdict, and why."""

    verdict: Verdict
    reason: str


def judge(outcome: Outcome, limit_ms: float) -> Judgement:
    """Say whether a run kept p99 under the limit, with nothing lost and all calls there.

    A generator that was late makes no verdict, unless latency is over the limit by more than it can have caused.  Nor
    does a limit that was missed while others had the server's core.
    """
    judgement = _judge(outcome, limit_ms)
    waited = outcome.cost.proxy_waited_cores or 0.0
    if judgement.verdict is Verdict.MISSED and waited > _MOST_WAITED_CORES:
        text = f"{judgement.reason}, while others had the server's core for {waited:.0%} of the time"
        return Judgement(Verdict.NONE, text)
    return judgement


def _judge(outcome: Outcome, limit_ms: float) -> Judgement:
    p99 = outcome.latency.p99
    if outcome.handshakes.failed or any(route.calls_ended for route in outcome.routes):
        ended = sum(route.calls_ended for route in outcome.routes)
        text = f"{words.count(outcome.handshakes.failed)} calls did not come about, {words.count(ended)} were ended"
        return Judgement(Verdict.MISSED, text)
    if outcome.is_partial:
        return Judgement(Verdict.NONE, "stopped before its time")
    if not outcome.latency.count or outcome.lost > _MOST_LOST * outcome.offered:
        return Judgement(Verdict.MISSED, f"{words.share(outcome.lost, outcome.offered)} of the frames lost")
    if p99 - outcome.lateness.p99 - outcome.reading.p99 > limit_ms:
        return Judgement(Verdict.MISSED, f"p99 {words.milliseconds(p99)}")
    if outcome.discarded is not None:
        return Judgement(Verdict.NONE, outcome.discarded)
    verdict = Verdict.MISSED if p99 > limit_ms else Verdict.HELD
    return Judgement(verdict, f"p99 {words.milliseconds(p99)}")


class Search:
    """One search: run `calls` calls and `tell` the verdict, until `calls` is None."""

    def __init__(self, first: int, most: int, precision: float) -> None:
        """`precision`: how narrow the gap is to be, as a share of what is held, 0.05 for a twentieth."""
        self._most = most
        self._precision = precision
        self._tries = 0
        self.held = 0
        """The most calls that were held; none so far."""
        self.missed: int | None = None
        """The least that were not; None while none missed the limit."""
        self._ceiling: int | None = None  # nothing above it is asked for
        self.calls: int | None = min(first, most)
        """What to run next; None: it is found."""

    @property
    def is_open(self) -> bool:
        """Whether nothing is known beyond what was held, as there was no verdict."""
        return self._ceiling is not None and self._ceiling != self.missed

    def tell(self, verdict: Verdict) -> None:
        """Take what the run of `calls` has shown."""
        calls = self.calls
        if calls is None:
            raise ValueError("the search is over")
        if verdict is Verdict.NONE and self._tries + 1 < _TRIES:
            self._tries += 1
            return
        self._tries = 0
        if verdict is Verdict.HELD:
            self.held = calls
        else:
            self._ceiling = calls
            if verdict is Verdict.MISSED:
                self.missed = calls
        self.calls = self._next()

    def _next(self) -> int | None:
        if self._ceiling is None:
            return None if self.held >= self._most else min(self._most, max(self.held + 1, round(self.held * STEP)))
        gap = self._ceiling - self.held
        if gap <= max(1.0, self._precision * self.held):
            return None
        return self.held + gap // 2
