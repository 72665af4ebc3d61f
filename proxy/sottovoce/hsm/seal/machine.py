"""The states of a seal, and what moves it from one to another.  Pure.

    SEALED ──first share──▶ UNSEALING ──enough, and they open──▶ UNSEALED
      ▲                       │                                     │
      └──seal, time, failure──┘◀──────────────── seal ──────────────┘

It begins SEALED, always: PINs are in memory only, so whoever starts has none.  `seal` works in every state and cannot
fail.  An unsealing that is not done in time is given up, so that no shares lie about for a day.

A refused call changes nothing.  Time is monotonic seconds.
"""

from enum import Enum

import msgspec

from sottovoce.hsm.seal.errors import SealRefused
from sottovoce.primitives import ApiMisuse


class State(Enum):
    """How the HSM stands."""

    SEALED = "sealed"
    UNSEALING = "unsealing"
    UNSEALED = "unsealed"


class SealClosed(msgspec.Struct, frozen=True):
    """It was unsealed, or being unsealed, and is sealed now."""

    reason: str


class ShareCounted(msgspec.Struct, frozen=True):
    """A share of the set came."""

    have: int
    wanted: int


class UnsealingEnded(msgspec.Struct, frozen=True):
    """An unsealing was given up, with `have` shares; it is sealed as before."""

    have: int
    why: str


class SealOpened(msgspec.Struct, frozen=True):
    """It is unsealed."""


SealEvent = SealClosed | ShareCounted | UnsealingEnded | SealOpened


class SealMachine:
    """One seal, from the start of its process on."""

    def __init__(self, wanted: int, *, reason: str, unseal_seconds: float) -> None:
        """Begin sealed, for `reason`; it takes `wanted` shares, within `unseal_seconds` of the first."""
        self.state = State.SEALED
        self.reason = reason
        """Why it is sealed; the last one while it is not."""
        self.wanted = wanted
        self.have = 0
        self._unseal_seconds = unseal_seconds
        self._deadline: float | None = None

    def check_offer(self) -> None:
        """Raise SealRefused where no share is wanted."""
        if self.state is State.UNSEALED:
            raise SealRefused("the HSM is unsealed already: no share is needed")

    def share_counted(self, now: float) -> list[SealEvent]:
        """Count a share that was found good."""
        self.check_offer()
        if self.have == self.wanted:
            raise ApiMisuse("a share is counted when all are there")
        if self.state is State.SEALED:
            self.state, self._deadline = State.UNSEALING, now + self._unseal_seconds
        self.have += 1
        return [ShareCounted(self.have, self.wanted)]

    def opened(self) -> list[SealEvent]:
        """Take note that the shares gave every PIN."""
        if self.state is not State.UNSEALING or self.have < self.wanted:
            raise ApiMisuse(f"opened with {self.have} of {self.wanted} shares, {self.state.value}")
        self._stand(State.UNSEALED)
        return [SealOpened()]

    def given_up(self, why: str) -> list[SealEvent]:
        """End an unsealing, whatever it had.  Does nothing where none is under way."""
        if self.state is not State.UNSEALING:
            return []
        have = self.have
        self._stand(State.SEALED)
        return [UnsealingEnded(have, why)]

    def seal(self, reason: str) -> list[SealEvent]:
        """Seal.  Where it is sealed already it stays so for the first reason, and nothing comes of it."""
        if self.state is State.SEALED:
            return []
        self.reason = reason
        self._stand(State.SEALED)
        return [SealClosed(reason)]

    def next_deadline(self) -> float | None:
        """When `on_deadline` wants to be called."""
        return self._deadline

    def on_deadline(self, now: float) -> list[SealEvent]:
        """Give up what has taken too long."""
        if self._deadline is None or now < self._deadline:
            return []
        return self.given_up(f"the other shares did not come within {self._unseal_seconds:g} s")

    def _stand(self, state: State) -> None:
        self.state, self.have, self._deadline = state, 0, None
