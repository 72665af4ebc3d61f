"""How two ways of doing a thing are compared.

Processor time of this process, so that what else the machine does counts for little; the garbage collector runs between
the turns and not in them, since it would strike one side or the other by chance.
"""

import gc
import statistics
import time
from collections.abc import Callable

Work = Callable[[], object]


def processor_seconds(work: Work) -> float:
    """Do `work` once; give the processor time it took."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time_ns()
        work()
        return (time.process_time_ns() - start) / 1e9
    finally:
        gc.enable()


class Comparison:
    """Rounds in which a subject and its yardstick took turns."""

    def __init__(self, make_subject: Callable[[], Work], make_yardstick: Callable[[], Work], *, rounds: int) -> None:
        """Run them; what `make_…` prepares is not measured.  One more round, the first, only warms up."""
        self.turns = [
            (processor_seconds(make_subject()), processor_seconds(make_yardstick())) for _ in range(rounds + 1)
        ][1:]

    @property
    def ratio(self) -> float:
        """The middle one of the rounds' ratios."""
        return statistics.median(subject / yardstick for subject, yardstick in self.turns)

    def describe(self, count: int) -> str:
        """Both sides in microseconds for each of `count` things a turn does."""
        subject, yardstick = (statistics.median(column) / count * 1e6 for column in zip(*self.turns, strict=True))
        return f"{subject:.2f} to {yardstick:.2f} µs each, {count} a turn, {len(self.turns)} rounds"
