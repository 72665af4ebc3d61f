"""What is sealed under the token's own key (the KEK), which never leaves it: seeds at rest, keys for the proxy.  Pure.

A token cannot hold ML-DSA keys yet, so their 32-byte seeds lie in files, encrypted with AES-256-GCM under the KEK.  The
purpose, a serial and the algorithm are authenticated with it, so that one seed cannot be put in another's place.  The
file is JSON, for people; nothing in it is secret.

A wrapped key is made likewise, under a label of its own, and lies in no file: the proxy keeps it in memory, and has it
opened for its own use.  So nobody gets a seed out of the token process by calling it a key.
"""

from typing import Annotated, ClassVar

import msgspec

from sottovoce.hsm.errors import SealedSeedInvalid
from sottovoce.primitives import SignatureAlgorithm, one_line

SEED_BYTES = 32
WRAPPED_KEY_BYTES = 32
SERIAL_BYTES = 16
NONCE_BYTES = 12

_FORMAT = "sottovoce.sealed-seed.1"
_AES_256 = "aes256"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Secret bytes under the token's KEK.  `sealed` is ciphertext ‖ tag."""

    label: ClassVar[bytes]
    """Tells one kind of content from another."""

    format: str
    purpose: str
    serial: bytes
    algorithm: str
    nonce: bytes
    sealed: bytes

    @property
    def associated_data(self) -> bytes:
        """What is authenticated with the content: label ‖ 0x00 ‖ u8 len ‖ purpose ‖ serial ‖ algorithm."""
        purpose = self.purpose.encode()
        return self.label + b"\x00" + len(purpose).to_bytes(1) + purpose + self.serial + self.algorithm_code

    @property
    def algorithm_code(self) -> bytes:
        """The algorithm as it is authenticated.  Raises KeyError for one that is not known."""
        raise NotImplementedError


class SealedSeed(Sealed, frozen=True, kw_only=True):
    """A seed under the token's KEK; bytes are base64 in the file."""

    label = b"sottovoce.v1 sealed seed"

    format: str = _FORMAT

    @property
    def algorithm_code(self) -> bytes:
        """The signature algorithm's u16."""
        return SignatureAlgorithm[self.algorithm.upper()].to_bytes(2)

    def to_file(self) -> bytes:
        """Write it as it lies in its file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


class WrappedKey(Sealed, frozen=True, kw_only=True):
    """An AES-256 key under the token's KEK.  Its lengths are checked where it is decoded."""

    label = b"sottovoce.v1 wrapped key"

    format: str = "sottovoce.wrapped-key.1"
    serial: Annotated[bytes, msgspec.Meta(min_length=SERIAL_BYTES, max_length=SERIAL_BYTES)]
    algorithm: str = _AES_256
    nonce: Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]

    @property
    def algorithm_code(self) -> bytes:
        """The one algorithm's name."""
        return {_AES_256: b"aes256"}[self.algorithm]


def read_sealed_seed(data: bytes, *, purpose: str, algorithm: SignatureAlgorithm) -> SealedSeed:
    """Read a sealed seed's file.  Raises SealedSeedInvalid unless it is one for this purpose and algorithm."""
    try:
        seed = msgspec.json.decode(data, type=SealedSeed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = f"is no sealed seed ({error})"
        raise SealedSeedInvalid(text) from None
    if (seed.format, seed.purpose, seed.algorithm) != (_FORMAT, purpose, algorithm.name.lower()):
        found, wanted = f"{seed.purpose} with {seed.algorithm}", f"{purpose} with {algorithm.name.lower()}"
        text = f"is sealed for {one_line(found)}, not for {wanted}"
        raise SealedSeedInvalid(text)
    return seed
