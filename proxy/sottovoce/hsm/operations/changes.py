"""What becomes of keys, as it is told to whoever keeps account of it: before the inventory says so.

Killed in between, the same is done and told once more by whoever finishes it: told twice, never not at all.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec
import trio

from sottovoce.hsm.kinds import KeyKind


class ChangeKind(StrEnum):
    """What became of a key on a node."""

    MADE = "made"
    COPIED = "copied"
    DESTROYED = "destroyed"


class KeyChange(msgspec.Struct, frozen=True):
    """What became of one key on one node."""

    what: ChangeKind
    label: str
    kind: KeyKind
    node: str
    public: bytes = b""
    """Of a key pair that was made: SubjectPublicKeyInfo."""
    source: str = ""
    """The node that a copy is of."""


Tell = Callable[[tuple[KeyChange, ...]], Awaitable[None]]
"""Keeps account of changes.  What it raises ends the operation, and the inventory stays as it is."""


async def tell_nobody(_: tuple[KeyChange, ...]) -> None:
    """Keep no account."""
    await trio.lowlevel.checkpoint()
