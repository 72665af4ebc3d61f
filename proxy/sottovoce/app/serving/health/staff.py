"""What an operator should know of workers: how many are there, and which were lost.  Pure."""

from collections.abc import Iterator

from sottovoce.admin import Concern, duration
from sottovoce.app.floor import Loss, Staff
from sottovoce.app.serving.health.tokens import LOSS_SECONDS

CAUSE = "workers"
_BY_ITSELF = "it is started again by itself; if it goes on, see worker.lost in the log"


def staff_concerns(staff: Staff, now: float) -> Iterator[Concern]:
    """Say what is wrong with them; each lost its own calls, and nobody else's."""
    there, wanted = staff.serving, staff.shown.wanted
    recent = [loss for loss in staff.losses if loss.at > now - LOSS_SECONDS]
    if there < wanted:
        what = f"{there} of {wanted} take{'s' if there == 1 else ''} calls"
        yield Concern("degraded" if there else "unready", CAUSE, f"{what}{_last(recent, now)}", _BY_ITSELF)
    elif recent:
        times = "one was" if len(recent) == 1 else f"{len(recent)} were"
        yield Concern("notice", CAUSE, f"{times} lost, and replaced{_last(recent, now)}", _BY_ITSELF)


def _last(losses: list[Loss], now: float) -> str:
    if not losses:
        return ""
    last = losses[-1]
    return f"; worker {last.worker} {duration(now - last.at)} ago: {last.reason}"
