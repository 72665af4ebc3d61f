"""Whether tokens can be used, what each does, and what is told when that changes."""

from collections.abc import Callable
from enum import Enum

import msgspec

from sottovoce.hsm.messages import Renewals


class TokenState(Enum):
    """Whether the token can be used."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    LOCKED = "locked"
    SEALED = "sealed"


class Breaker(Enum):
    """Whether calls go to a token: closed, they do; open, they do not; half open, it has to prove itself now."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class TokenUp(msgspec.Struct, frozen=True, tag="token_up"):
    """A token process has proved itself and takes calls."""

    pid: int


class TokenDown(msgspec.Struct, frozen=True, tag="token_down"):
    """The token process is gone, or a replacement did not start; another one follows."""

    reason: str
    in_flight: int = 0
    """Calls that it had not answered, and whose callers still wait."""
    is_held: bool = False
    """Whether an operator has taken it out of use: no other process follows until it is released."""


class TokenLocked(msgspec.Struct, frozen=True, tag="token_locked"):
    """The token refused its PIN; nothing more is tried."""

    reason: str


class TokenSealed(msgspec.Struct, frozen=True, tag="token_sealed"):
    """The HSM is sealed: the token has no process until it is unsealed."""

    reason: str


TokenEvent = TokenUp | TokenDown | TokenLocked | TokenSealed
Report = Callable[[TokenEvent], None]
NodeReport = Callable[[str, TokenEvent], None]
"""Is told which node it is about, too."""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a node does now, and what it has done since the pool was opened."""

    name: str
    state: TokenState
    breaker: Breaker
    reason: str
    """Why it is not up; of one that is up, what ended its process the last time, or empty."""
    pid: int | None
    """Its process, if one serves."""
    sessions: int
    """Open ones of its process."""
    in_flight: int
    """Calls that it has and has not answered."""
    suspects: int
    """How many of these are out for so long that the token may hang."""
    suspicions: int
    """How many calls were ever out for so long."""
    replacements: int
    """How many of its processes went."""
    renewals: Renewals
    """What they had to do beside their work, all together."""


class PoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool does now, and what it has done since it was opened."""

    nodes: tuple[NodeStatus, ...]
    waiting: int
    """Calls that wait for their turn."""
    quorum: int
    """On how many nodes a new key has to be proved."""
    hedges_won: int
    """Second sendings whose answer came first."""
    hedges_lost: int
    """Second sendings that were not needed."""

    @property
    def up(self) -> int:
        """How many nodes take calls."""
        return sum(node.state is TokenState.UP for node in self.nodes)

    @property
    def has_quorum(self) -> bool:
        """Whether so many are up that keys may be made."""
        return self.up >= self.quorum
