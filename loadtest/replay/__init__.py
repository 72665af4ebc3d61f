"""Replays audio against a running proxy, open loop, and measures what becomes of each frame."""

from loadtest.replay.errors import PlanRefused
from loadtest.replay.outcome import Outcome
from loadtest.replay.plan import Kind, Plan, Progress, Target, Watched
from loadtest.replay.run import run_load

__all__ = ["Kind", "Outcome", "Plan", "PlanRefused", "Progress", "Target", "Watched", "run_load"]
