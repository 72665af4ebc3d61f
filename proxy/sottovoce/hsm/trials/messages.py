"""What can be tried of a token, and what comes of it.  Pure."""

from enum import StrEnum
from typing import Final

import msgspec

from sottovoce.hsm.kinds import KeyKind, WrapMechanism
from sottovoce.hsm.messages import Operation

RANDOM, KEPT_INSIDE, GCM_NONCE = "random", "keys stay inside", "gcm nonce"
TRIALS: Final = (RANDOM, KEPT_INSIDE, *map(str, KeyKind), GCM_NONCE, *map(str, WrapMechanism))
"""Everything that is tried, by name, in this order."""
NEEDED: Final = frozenset({RANDOM, KEPT_INSIDE, str(KeyKind.ECDSA_P384), str(KeyKind.AES_256_GCM), GCM_NONCE})
"""What the proxy cannot do without."""
_TRIAL_SECONDS = 60.0
"""RSA of 4096 bits takes seconds, and some tokens much longer."""


class Outcome(StrEnum):
    """What came of a trial."""

    WORKS = "works"
    ABSENT = "absent"
    """The token does not list it, or says that it does not have it."""
    FAILS = "fails"
    """The token has it, and it was refused, or its result was wrong."""


class Try(msgspec.Struct, frozen=True):
    """Try one of TRIALS."""

    what: str


class Tried(msgspec.Struct, frozen=True):
    """What came of it."""

    outcome: Outcome
    value: str = ""
    """What the token turned out to do, where it may be one of several."""
    reason: str = ""


TRY = Operation("try", Try, Tried, is_idempotent=False, answer_seconds=_TRIAL_SECONDS)
