"""How long calls of tokens take, for whoever measures."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import trio

from sottovoce.hsm.errors import HsmError

ANSWERED, CANCELLED = "answered", "cancelled"
"""How a call ended that raised no HsmError."""


class TokenTimes(Protocol):
    """Is told how long calls took.  Synchronous, quick, never raises."""

    def call_took(self, node: str, operation: str, outcome: str, seconds: float) -> None:
        """A call is over for its caller; `outcome` is ANSWERED, CANCELLED, or the name of the HsmError's class.

        `node` is who answered, with an error or not; empty where nobody did.
        """
        ...

    def call_waited(self, node: str, seconds: float) -> None:
        """A call has waited so long for its turn, and is sent to `node`."""
        ...


class Untimed:
    """Nobody wants to know."""

    def call_took(self, node: str, operation: str, outcome: str, seconds: float) -> None:
        """Nobody hears it."""

    def call_waited(self, node: str, seconds: float) -> None:
        """Nobody hears it."""


class Timing:
    """What is known of a call only at its end."""

    __slots__ = ("node",)

    def __init__(self) -> None:
        """Nobody has answered."""
        self.node = ""


@contextmanager
def timed(times: TokenTimes, operation: str) -> Generator[Timing]:
    """Tell how long the block took, how it ended, and the node that the block names; what it raises passes."""
    began, outcome, timing = trio.current_time(), CANCELLED, Timing()
    try:
        yield timing
        outcome = ANSWERED
    except HsmError as error:
        outcome = type(error).__name__
        raise
    finally:
        times.call_took(timing.node, operation, outcome, trio.current_time() - began)
