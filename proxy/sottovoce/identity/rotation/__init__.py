"""Replacing an anchor with overlap: which anchors the token holds, which one issues, and what makes and ends them."""

from sottovoce.identity.rotation.handlers import anchor_handlers
from sottovoce.identity.rotation.operations import (
    CREATE_ANCHOR,
    DESTROY_ANCHOR,
    PROVE_ANCHOR,
    CreateAnchor,
    CreatedAnchor,
    DestroyAnchor,
    DestroyedAnchor,
    ProveAnchor,
    ProvedAnchor,
)
from sottovoce.identity.rotation.ring import (
    ANCHOR_RING,
    AnchorRing,
    RingAnchor,
    issuing_anchor,
    load_ring,
    next_key,
    parse_ring,
    seed_of,
)

__all__ = [
    "ANCHOR_RING",
    "CREATE_ANCHOR",
    "DESTROY_ANCHOR",
    "PROVE_ANCHOR",
    "AnchorRing",
    "CreateAnchor",
    "CreatedAnchor",
    "DestroyAnchor",
    "DestroyedAnchor",
    "ProveAnchor",
    "ProvedAnchor",
    "RingAnchor",
    "anchor_handlers",
    "issuing_anchor",
    "load_ring",
    "next_key",
    "parse_ring",
    "seed_of",
]
