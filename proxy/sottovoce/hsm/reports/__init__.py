"""What a token tells of itself: what becomes of its process, and how long calls take."""

from sottovoce.hsm.reports.states import Report, TokenDown, TokenEvent, TokenLocked, TokenState, TokenUp
from sottovoce.hsm.reports.times import ANSWERED, CANCELLED, TokenTimes, Untimed, timed

__all__ = [
    "ANSWERED",
    "CANCELLED",
    "Report",
    "TokenDown",
    "TokenEvent",
    "TokenLocked",
    "TokenState",
    "TokenTimes",
    "TokenUp",
    "Untimed",
    "timed",
]
