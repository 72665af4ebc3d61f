"""What the rest of the proxy sees of a seal, and what it has to do about it.  Pure.

`effects_of` says what each state means; nobody else asks for the state itself but to show it.

- The edge, at a request: where `retry_after_seconds` is a number it refuses with HTTP 503 and that Retry-After, in the
  words that it has for an audit log that cannot be written.  The peer is not told why.
- The edge, at RekeyInit: without `lets_rekey` it ends the call with 4460 (draining) in place of the answer, so that the
  epoch that runs is finished.  With `ends_calls` it ends every call with 4460 at once.
- The pool, before it starts a token process: `PinLender.lend` gives the path for `Start.pin_source` and the descriptor
  that the process has to inherit.  At HsmSealed it starts none, and fails calls with that.
- The pool, at SealClosed: it kills its token processes and fails what waits.  At SealOpened it starts them again.
- Whoever keeps a key that a token opened, at SealClosed: wipes it (ticket keys).
- Health: anything but UNSEALED is not ready, with `sealed` and the reason.

Followers are called one after the other, in the turn in which it was sealed, and must not wait: so all of this is done
well within a second.  No follower is needed for the PINs, which are gone before the first is called.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import msgspec

from sottovoce.hsm.config import SealConfig
from sottovoce.hsm.seal.machine import SealEvent, State

Follower = Callable[[SealEvent], None]
"""Is told of each change; it must not wait."""


class Effects(msgspec.Struct, frozen=True):
    """What a state means for calls."""

    retry_after_seconds: int | None = None
    """None: new calls are let in.  Else they are refused, with this."""
    lets_rekey: bool = True
    """Whether a running call may begin another epoch."""
    ends_calls: bool = False
    """Whether running calls end now."""


OPEN = Effects()
"""Those of an HSM that is unsealed, or has no seal."""


class Unsealed:
    """What an HSM without a seal means for calls."""

    effects = OPEN


class LentPin(NamedTuple):
    """Where a token process finds its PIN: the place as a configuration has it, and what it has to inherit for it."""

    source: str
    descriptor: int


class PinLender(Protocol):
    """Who has the PINs while the HSM is unsealed."""

    @property
    def is_open(self) -> bool:
        """Whether there are PINs."""
        ...

    @property
    def places(self) -> dict[str, LentPin]:
        """By node, where its PIN is while there is one: the same from start to end."""
        ...

    def lend(self, node: str) -> LentPin:
        """Say where a node's PIN is.  Raises HsmSealed."""
        ...

    def followed_by(self, follower: Follower) -> AbstractContextManager[None]:
        """Tell `follower` of each change until the block ends."""
        ...


def effects_of(state: State, config: SealConfig) -> Effects:
    """Say what a state means.  While it is being unsealed it is still sealed."""
    if state is State.UNSEALED:
        return OPEN
    return Effects(config.retry_after_seconds, lets_rekey=False, ends_calls=config.running_calls == "at-once")
