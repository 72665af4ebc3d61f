"""How long calls of a token take, for whoever measures."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import trio

from sottovoce.hsm.errors import HsmError

ANSWERED, CANCELLED = "answered", "cancelled"
"""How a call ended that raised no HsmError."""


class TokenTimes(Protocol):
    """Is told how long calls took.  Synchronous, quick, never raises."""

    def call_took(self, operation: str, outcome: str, seconds: float) -> None:
        """A call is over for its caller; `outcome` is ANSWERED, CANCELLED, or the name of the HsmError's class."""
        ...

    def call_waited(self, seconds: float) -> None:
        """A call has waited so long for its turn, and is sent."""
        ...


class Untimed:
    """Nobody wants to know."""

    def call_took(self, operation: str, outcome: str, seconds: float) -> None:
        """Nobody hears it."""

    def call_waited(self, seconds: float) -> None:
        """Nobody hears it."""


@contextmanager
def timed(times: TokenTimes, operation: str) -> Generator[None]:
    """Tell how long the block took and how it ended; what it raises passes."""
    began, outcome = trio.current_time(), CANCELLED
    try:
        yield
        outcome = ANSWERED
    except HsmError as error:
        outcome = type(error).__name__
        raise
    finally:
        times.call_took(operation, outcome, trio.current_time() - began)
