"""The seal's file: every node's PIN under a key that nobody has, and how to know that key's shares.  Pure.

A PIN is padded to a fixed length and encrypted with AES-256-GCM under the seal's key, with a random nonce; one key
seals sixteen PINs at most, once.  With each is authenticated all that the file says beside the PINs, and the node's
name: who can write the file can make the seal useless, but cannot move a PIN to another node or ask for fewer shares.

For each share there is a hash of it.  So a share is refused when it is given, not when all are there, and who gave a
false one is known.  A share's value is uniformly random: the hash gives nothing away that helps to find it.
"""

from typing import Annotated, Literal

import msgspec

from sottovoce.hsm.config import NodeName
from sottovoce.hsm.seal.errors import SealDamaged, SealRefused
from sottovoce.hsm.seal.shares import MAX_SHARES, MIN_THRESHOLD
from sottovoce.primitives import (
    NONCE_BYTES,
    TAG_BYTES,
    Cipher,
    Entropy,
    Secret,
    TagError,
    cipher_with_key,
    sha384,
    wipe_bytes,
)

MAX_PIN_BYTES = 255
ID_BYTES = 16
_PADDED_BYTES = 1 + MAX_PIN_BYTES
_SEALED_BYTES = _PADDED_BYTES + TAG_BYTES
_COMMITMENT_BYTES = 48
MAX_NODES = 16
_LABEL = b"sottovoce.v1 sealed PIN\x00"


class SealedPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PIN under the seal's key; `sealed` is ciphertext ‖ tag.  Bytes are base64 in the file."""

    nonce: Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
    sealed: Annotated[bytes, msgspec.Meta(min_length=_SEALED_BYTES, max_length=_SEALED_BYTES)]


Commitment = Annotated[bytes, msgspec.Meta(min_length=_COMMITMENT_BYTES, max_length=_COMMITMENT_BYTES)]


class SealRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A seal: made once, and of as much worth as the PINs in it.  Nothing in it is secret without the shares."""

    format: Literal["sottovoce.seal.1"] = "sottovoce.seal.1"
    id: Annotated[bytes, msgspec.Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
    set_name: Annotated[int, msgspec.Meta(ge=0, lt=1 << 15)]
    """SLIP-39's identifier, in the first two words of each share."""
    threshold: Annotated[int, msgspec.Meta(ge=MIN_THRESHOLD, le=MAX_SHARES)]
    """How many shares it takes."""
    commitments: Annotated[tuple[Commitment, ...], msgspec.Meta(min_length=MIN_THRESHOLD, max_length=MAX_SHARES)]
    """Share 1, 2, … by its hash."""
    pins: Annotated[dict[NodeName, SealedPin], msgspec.Meta(min_length=1, max_length=MAX_NODES)]

    def __post_init__(self) -> None:
        """Refuse a threshold that cannot be reached."""
        if self.threshold > len(self.commitments):
            raise ValueError(f"it takes {self.threshold} shares and has {len(self.commitments)}")

    @property
    def count(self) -> int:
        """How many shares there are."""
        return len(self.commitments)

    def to_file(self) -> bytes:
        """Write it as it lies in its file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    def seal_pin(self, key: Secret, node: str, pin: Secret, entropy: Entropy) -> SealedPin:
        """Seal a node's PIN into this record, of which all else is final.  Raises SealRefused for an unusable PIN."""
        if not 0 < len(pin) <= MAX_PIN_BYTES:
            raise SealRefused(f"node {node}'s PIN has {len(pin)} bytes: 1 to {MAX_PIN_BYTES} can be sealed")
        copy = pin.copy_for_sealing()
        padded = bytes([len(copy)]) + copy.ljust(MAX_PIN_BYTES, b"\x00")
        try:
            nonce = entropy.random(NONCE_BYTES)
            sealed = cipher_with_key(Cipher.AES_256_GCM, key).encrypt(nonce, padded, self._associated_data(node))
        finally:
            wipe_bytes(copy)
            wipe_bytes(padded)
        return SealedPin(nonce, sealed)

    def open_pin(self, key: Secret, node: str) -> Secret:
        """Give a node's PIN.  Raises SealDamaged where this is not what was sealed."""
        sealed = self.pins[node]
        cipher = cipher_with_key(Cipher.AES_256_GCM, key)
        try:
            padded = cipher.decrypt(sealed.nonce, sealed.sealed, self._associated_data(node))
        except TagError:
            text = f"the shares are right, but node {node}'s PIN does not open: the seal's file was changed, restore it"
            raise SealDamaged(text) from None
        pin = padded[1 : 1 + padded[0]]
        wipe_bytes(padded)
        return Secret.take("PIN", pin)

    def _associated_data(self, node: str) -> bytes:
        """Label ‖ id ‖ u16 set ‖ u8 threshold ‖ u8 count ‖ SHA-384 of all commitments ‖ node."""
        head = self.id + self.set_name.to_bytes(2) + bytes([self.threshold, self.count])
        return _LABEL + head + sha384(*self.commitments) + node.encode()


class KeptState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How things stood when this was last written; `since` is Unix seconds."""

    format: Literal["sottovoce.seal-state.1"] = "sottovoce.seal-state.1"
    seal: Annotated[bytes, msgspec.Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
    is_sealed: bool
    since: Annotated[int, msgspec.Meta(ge=0)]
    reason: Annotated[str, msgspec.Meta(max_length=200)]

    def to_file(self) -> bytes:
        """Write it as it lies in its file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read_record(data: bytes) -> SealRecord:
    """Read a seal's file.  Raises SealDamaged; the text follows the file's name."""
    try:
        return msgspec.json.decode(data, type=SealRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SealDamaged(f"is no seal ({error}): restore it from its backup") from None


def read_kept_state(data: bytes) -> KeptState:
    """Read the state's file.  Raises SealDamaged; the text follows the file's name."""
    try:
        return msgspec.json.decode(data, type=KeptState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SealDamaged(f"tells no state ({error})") from None
