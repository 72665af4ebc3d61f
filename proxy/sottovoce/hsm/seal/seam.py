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

from typing import Annotated, Literal, NamedTuple, Protocol

import msgspec

from sottovoce.hsm.config import FilePath
from sottovoce.hsm.seal.machine import State

RunningCalls = Literal["finish-epoch", "at-once"]


class SealConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the seal is, and what sealing does.  Relative paths count from the configuration file's directory."""

    file: FilePath = "secrets/seal.json"
    """The sealed PINs.  Keep a backup: without it the shares open nothing."""
    state_file: FilePath = "secrets/seal-state.json"
    """Since when it is sealed, and why; no backup is needed."""
    running_calls: RunningCalls = "finish-epoch"
    """When it is sealed: a call ends when its epoch does, or at once."""
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 300
    """What a refused caller is told to wait for."""
    unseal_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 900.0
    """How long the first share waits for the others."""


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


class LentPin(NamedTuple):
    """Where a token process finds its PIN: the place as a configuration has it, and what it has to inherit for it."""

    source: str
    descriptor: int


class PinLender(Protocol):
    """Who has the PINs while the HSM is unsealed."""

    @property
    def places(self) -> dict[str, LentPin]:
        """By node, where its PIN is while there is one: the same from start to end."""
        ...

    def lend(self, node: str) -> LentPin:
        """Say where a node's PIN is.  Raises HsmSealed."""
        ...


def effects_of(state: State, config: SealConfig) -> Effects:
    """Say what a state means.  While it is being unsealed it is still sealed."""
    if state is State.UNSEALED:
        return OPEN
    return Effects(config.retry_after_seconds, lets_rekey=False, ends_calls=config.running_calls == "at-once")
