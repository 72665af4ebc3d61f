"""Sealing an HSM: its PINs are split among people, and while too few of them agree, nobody can use it.

`new_seal` makes a seal and its shares; `open_seal` is the seal of a proxy that runs; `seam` says what the rest of the
proxy does about it.  A PIN is in an anonymous memory file and nowhere else, from unsealing to sealing.
"""

from sottovoce.hsm.config import SealConfig
from sottovoce.hsm.seal.custody import Collector, NewSeal, new_seal
from sottovoce.hsm.seal.errors import (
    HsmSealed,
    SealDamaged,
    SealError,
    SealRefused,
    ShareCorrupt,
    ShareForeign,
    ShareForged,
    ShareMalformed,
    ShareRepeated,
    SharesMissing,
    StateUnkept,
    UnsealingFailed,
)
from sottovoce.hsm.seal.keeper import SealKeeper, SealStatus, StateLost, open_seal
from sottovoce.hsm.seal.machine import SealClosed, SealEvent, SealOpened, ShareCounted, State, UnsealingEnded
from sottovoce.hsm.seal.record import KeptState, SealedPin, SealRecord
from sottovoce.hsm.seal.seam import OPEN, Effects, Follower, LentPin, PinLender, Unsealed, effects_of
from sottovoce.hsm.seal.store import SealStore, erase_pin_file

__all__ = [
    "OPEN",
    "Collector",
    "Effects",
    "Follower",
    "HsmSealed",
    "KeptState",
    "LentPin",
    "NewSeal",
    "PinLender",
    "SealClosed",
    "SealConfig",
    "SealDamaged",
    "SealError",
    "SealEvent",
    "SealKeeper",
    "SealOpened",
    "SealRecord",
    "SealRefused",
    "SealStatus",
    "SealStore",
    "SealedPin",
    "ShareCorrupt",
    "ShareCounted",
    "ShareForeign",
    "ShareForged",
    "ShareMalformed",
    "ShareRepeated",
    "SharesMissing",
    "State",
    "StateLost",
    "StateUnkept",
    "Unsealed",
    "UnsealingEnded",
    "UnsealingFailed",
    "effects_of",
    "erase_pin_file",
    "new_seal",
    "open_seal",
]
