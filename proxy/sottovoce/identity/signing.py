"""The signing side, inside the token process: roots of handshakes, and voice certificates (protocol §6).

The serving ML-DSA-65 key is opened when the process starts and lives as long as it.  The anchor's ML-DSA-87 key is
opened for one certificate at a time; its seed is wiped, the library cleanses the key when it is dropped.  The P-384
keys stay in the token.  Each signature is verified before it leaves: a fault in the arithmetic could give a key away.
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sottovoce.hsm import (
    Counts,
    Handler,
    KeyName,
    SealedSeed,
    SealedSeedInvalid,
    Start,
    TokenLost,
    Worker,
    read_sealed_seed,
)
from sottovoce.identity.errors import VoiceCertificateRefused
from sottovoce.identity.operations import (
    ISSUE_VOICE_CERTIFICATE,
    MAX_VOICE_CERTIFICATE_SECONDS,
    MIN_VOICE_CERTIFICATE_SECONDS,
    ROOT_BYTES,
    SIGN_ROOT,
    IssuedVoiceCertificate,
    IssueVoiceCertificate,
    RootSignatures,
    SignRoot,
)
from sottovoce.primitives import MldsaSigner, SignatureAlgorithm
from sottovoce.session import CertificateFields, LeafKind, anchor_id, encode_certificate, signed_root
from sottovoce.wire import MAX_AUTHORITIES_BYTES

SERVING_SEED, ANCHOR_SEED = "serving_seed", "anchor_seed"
"""The names in `Start.files` under which the sealed seeds are given."""
SERVING_PURPOSE, ANCHOR_PURPOSE = "serving", "anchor"
SERVING_ALGORITHM, ANCHOR_ALGORITHM = SignatureAlgorithm.MLDSA65, SignatureAlgorithm.MLDSA87
_SERIAL_BYTES = 16
_LENGTH_BYTES = 2
_KINDS = {int(kind): kind for kind in LeafKind}


def identity_handlers(
    worker: Worker, start: Start, counts: Counts, wall: Callable[[], float] = time.time
) -> Iterable[Handler]:
    """Open the serving key and give the answerers.  Raises SealedSeedInvalid, with the file's name."""
    serving_path, anchor_path = Path(start.files[SERVING_SEED]), Path(start.files[ANCHOR_SEED])
    serving = open_signer(worker, _read_seed_file(serving_path, SERVING_PURPOSE, SERVING_ALGORITHM), serving_path)
    anchor = _read_seed_file(anchor_path, ANCHOR_PURPOSE, ANCHOR_ALGORITHM)

    def sign_root(worker: Worker, question: SignRoot) -> RootSignatures:
        kind = _KINDS.get(question.kind)
        if kind is None or len(question.root) != ROOT_BYTES:
            text = "a root has a known kind and 48 bytes"
            raise VoiceCertificateRefused(text)
        message = signed_root(kind, question.root)
        answer = RootSignatures(worker.sign(KeyName.SERVING, message), _sign_verified(serving, message))
        counts.add("roots_signed")
        counts.add(f"roots_signed.{kind.name.lower()}")
        return answer

    def issue(worker: Worker, question: IssueVoiceCertificate) -> IssuedVoiceCertificate:
        _check_request(question)
        signer = open_signer(worker, anchor, anchor_path)
        now = int(wall())
        fields = CertificateFields(
            serial=os.urandom(_SERIAL_BYTES),
            not_before=now,
            not_after=now + question.lifetime_seconds,
            authorities=question.authorities,
            classical=worker.public_key(KeyName.SERVING),
            pq=serving.public_key,
            anchor_id=anchor_id(worker.public_key(KeyName.ANCHOR), signer.public_key),
        )
        message = fields.signed_bytes()
        classical = (SignatureAlgorithm.ECDSA_P384, worker.sign(KeyName.ANCHOR, message))
        certificate = encode_certificate(fields, classical, (signer.algorithm, _sign_verified(signer, message)))
        counts.add("voice_certificates_issued")
        return IssuedVoiceCertificate(certificate)

    return Handler(SIGN_ROOT, sign_root), Handler(ISSUE_VOICE_CERTIFICATE, issue)


def _read_seed_file(path: Path, purpose: str, algorithm: SignatureAlgorithm) -> SealedSeed:
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


def _sign_verified(signer: MldsaSigner, message: bytes) -> bytes:
    """Sign, and verify what was made.  Raises TokenLost, which has this process replaced, when it is wrong."""
    signature = signer.sign(message)
    if not signer.public_key.verify(message, signature):
        text = f"a wrong {signer.algorithm.name} signature was made"
        raise TokenLost(text)
    return signature


def check_authorities(names: tuple[str, ...]) -> None:
    """See that a voice certificate can hold these names.  Raises VoiceCertificateRefused."""
    length = sum(_LENGTH_BYTES + len(name.encode()) for name in names)
    if not names or not all(names) or length > MAX_AUTHORITIES_BYTES:
        text = f"a voice certificate names at least one host, {MAX_AUTHORITIES_BYTES} bytes of them at most"
        raise VoiceCertificateRefused(text)


def _check_request(question: IssueVoiceCertificate) -> None:
    if not MIN_VOICE_CERTIFICATE_SECONDS <= question.lifetime_seconds <= MAX_VOICE_CERTIFICATE_SECONDS:
        text = f"a voice certificate lives for {MIN_VOICE_CERTIFICATE_SECONDS} s to 7 days: change its lifetime"
        raise VoiceCertificateRefused(text)
    check_authorities(question.authorities)
