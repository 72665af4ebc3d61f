"""Whether a token can be used, and what is told when that changes."""

from collections.abc import Callable
from enum import Enum

import msgspec


class TokenState(Enum):
    """Whether the token can be used."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    LOCKED = "locked"


class TokenUp(msgspec.Struct, frozen=True, tag="token_up"):
    """A token process has proved itself and takes calls."""

    pid: int


class TokenDown(msgspec.Struct, frozen=True, tag="token_down"):
    """The token process is gone, or a replacement did not start; another one follows."""

    reason: str
    in_flight: int = 0
    """Calls that it had not answered, and whose callers still wait."""


class TokenLocked(msgspec.Struct, frozen=True, tag="token_locked"):
    """The token refused its PIN; nothing more is tried."""

    reason: str


TokenEvent = TokenUp | TokenDown | TokenLocked
Report = Callable[[TokenEvent], None]
