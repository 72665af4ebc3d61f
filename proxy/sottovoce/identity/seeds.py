"""Sealed seeds of serving and anchor keys, inside the token process: read, opened, signed with."""

from pathlib import Path

from sottovoce.hsm import SealedSeed, SealedSeedInvalid, TokenLost, Worker, read_sealed_seed
from sottovoce.primitives import MldsaSigner, SignatureAlgorithm

SERVING_PURPOSE, ANCHOR_PURPOSE = "serving", "anchor"
SERVING_ALGORITHM, ANCHOR_ALGORITHM = SignatureAlgorithm.MLDSA65, SignatureAlgorithm.MLDSA87


def read_seed_file(path: Path, purpose: str, algorithm: SignatureAlgorithm) -> SealedSeed:
    """Read a sealed seed.  Raises SealedSeedInvalid, naming the file."""
    try:
        return read_sealed_seed(path.read_bytes(), purpose=purpose, algorithm=algorithm)
    except OSError as error:
        text = f"the sealed seed {path} cannot be read ({error.strerror}): restore it from its backup"
    except SealedSeedInvalid as error:
        text = f"the sealed seed {path} {error}: restore it from its backup"
    raise SealedSeedInvalid(text)


def open_signer(worker: Worker, sealed: SealedSeed, path: Path) -> MldsaSigner:
    """Open a sealed seed, expand it to its key, and wipe it.  Raises SealedSeedInvalid, naming the file."""
    try:
        with worker.open_seed(sealed) as seed:
            return MldsaSigner(SignatureAlgorithm[sealed.algorithm.upper()], seed)
    except SealedSeedInvalid:
        text = f"the sealed seed {path} does not open under this token's key: restore both from the same backup"
        raise SealedSeedInvalid(text) from None


def sign_verified(signer: MldsaSigner, message: bytes) -> bytes:
    """Sign, and verify what was made.  Raises TokenLost, which has this process replaced, when it is wrong."""
    signature = signer.sign(message)
    if not signer.public_key.verify(message, signature):
        text = f"a wrong {signer.algorithm.name} signature was made"
        raise TokenLost(text)
    return signature
