"""What a caller keeps of an answer: with the node that gave it, since each node may have a key of its own."""

import msgspec

from sottovoce.hsm.kinds import WrappedUnder


class Signature(msgspec.Struct, frozen=True):
    """A signature, or an authentication code, and the node whose key made it."""

    node: str
    signature: bytes


class SealedBy(msgspec.Struct, frozen=True):
    """`ciphertext ‖ tag` with its nonce, and the node whose key sealed it."""

    node: str
    nonce: bytes
    sealed: bytes


class WrappedBy(msgspec.Struct, frozen=True):
    """A wrapped key, and the node under whose key it is."""

    node: str
    wrapped: WrappedUnder


class DataKey(msgspec.Struct, frozen=True):
    """A key for the proxy's own use, as it is kept: sealed under every node's key of one label, so any can open it."""

    label: str
    id: bytes
    """Chance, authenticated with each of them: one cannot be put in another's place."""
    sealed: tuple[SealedBy, ...]
