"""Sealed seeds: how the ML-DSA keys rest.  Pure.

A token cannot hold ML-DSA keys yet, so their 32-byte seeds lie in files, encrypted with AES-256-GCM under a key of the
token that never leaves it (the KEK).  The purpose, a serial and the algorithm are authenticated with it, so that one
seed cannot be put in another's place.  The file is JSON, for people; nothing in it is secret.
"""

import msgspec

from sottovoce.hsm.errors import SealedSeedInvalid
from sottovoce.primitives import SignatureAlgorithm

SEED_BYTES = 32
SERIAL_BYTES = 16
NONCE_BYTES = 12

_LABEL = b"sottovoce.v1 sealed seed"
_FORMAT = "sottovoce.sealed-seed.1"


class SealedSeed(msgspec.Struct, frozen=True, kw_only=True):
    """A seed under the token's KEK.  `sealed` is ciphertext ‖ tag; bytes are base64 in the file."""

    format: str = _FORMAT
    purpose: str
    serial: bytes
    algorithm: str
    nonce: bytes
    sealed: bytes

    @property
    def associated_data(self) -> bytes:
        """What is authenticated with the seed: label ‖ 0x00 ‖ u8 len ‖ purpose ‖ serial ‖ algorithm u16."""
        purpose = self.purpose.encode()
        algorithm = SignatureAlgorithm[self.algorithm.upper()]
        return _LABEL + b"\x00" + len(purpose).to_bytes(1) + purpose + self.serial + algorithm.to_bytes(2)

    def to_file(self) -> bytes:
        """Write it as it lies in its file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read_sealed_seed(data: bytes, *, purpose: str, algorithm: SignatureAlgorithm) -> SealedSeed:
    """Read a sealed seed's file.  Raises SealedSeedInvalid unless it is one for this purpose and algorithm."""
    try:
        seed = msgspec.json.decode(data, type=SealedSeed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = f"is no sealed seed ({error})"
        raise SealedSeedInvalid(text) from None
    if (seed.format, seed.purpose, seed.algorithm) != (_FORMAT, purpose, algorithm.name.lower()):
        text = f"is sealed for {seed.purpose} with {seed.algorithm}, not for {purpose} with {algorithm.name.lower()}"
        raise SealedSeedInvalid(text)
    return seed
