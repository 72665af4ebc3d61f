"""What tokens tell of themselves: what becomes of their processes, and how long calls take."""

from sottovoce.hsm.reports.states import (
    Breaker,
    NodeReport,
    NodeStatus,
    PoolStatus,
    Report,
    TokenDown,
    TokenEvent,
    TokenLocked,
    TokenSealed,
    TokenState,
    TokenUp,
)
from sottovoce.hsm.reports.times import ANSWERED, CANCELLED, Timing, TokenTimes, Untimed, timed

__all__ = [
    "ANSWERED",
    "CANCELLED",
    "Breaker",
    "NodeReport",
    "NodeStatus",
    "PoolStatus",
    "Report",
    "Timing",
    "TokenDown",
    "TokenEvent",
    "TokenLocked",
    "TokenSealed",
    "TokenState",
    "TokenTimes",
    "TokenUp",
    "Untimed",
    "timed",
]
