"""Trying a token: what it does of what we might ask, found out by doing it, with objects that end with the session."""

from sottovoce.hsm.trials.doing import trial_handlers
from sottovoce.hsm.trials.messages import NEEDED, TRIALS, TRY, Outcome, Tried, Try

__all__ = [
    "NEEDED",
    "TRIALS",
    "TRY",
    "Outcome",
    "Tried",
    "Try",
    "trial_handlers",
]
