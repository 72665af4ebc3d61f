"""What the commands ask a token process about its anchors.  Pure.

Only a process that was started to have keys changed (`Start.change_keys`) answers; the one of a running proxy does not.
"""

import msgspec

from sottovoce.hsm import Operation, SealedSeed
from sottovoce.primitives import PublicKey

_SECONDS = 60.0


class CreateAnchor(msgspec.Struct, frozen=True):
    """Make an anchor's keys under this name; what a command that was killed left there goes first."""

    key: str


class CreatedAnchor(msgspec.Struct, frozen=True):
    """Its public keys, P-384 and ML-DSA-87, and the sealed seed of the second."""

    classical: PublicKey
    pq: PublicKey
    seed: SealedSeed


class ProveAnchor(msgspec.Struct, frozen=True):
    """Have an anchor sign with both keys: the name of its key, and its id."""

    key: str
    id: str


class ProvedAnchor(msgspec.Struct, frozen=True):
    """It can, and it is the one that was meant."""


class DestroyAnchor(msgspec.Struct, frozen=True):
    """Destroy the token's keys of this name."""

    key: str


class DestroyedAnchor(msgspec.Struct, frozen=True):
    """They are gone, or were already."""


CREATE_ANCHOR = Operation("create_anchor", CreateAnchor, CreatedAnchor, is_idempotent=False, answer_seconds=_SECONDS)
PROVE_ANCHOR = Operation("prove_anchor", ProveAnchor, ProvedAnchor, answer_seconds=_SECONDS)
DESTROY_ANCHOR = Operation("destroy_anchor", DestroyAnchor, DestroyedAnchor, answer_seconds=_SECONDS)
