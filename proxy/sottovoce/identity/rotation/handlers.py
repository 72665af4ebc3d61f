"""What answers them, inside a token process that was started to have keys changed.

The ring is read here too: whatever a caller says, the anchor that issues now is not made anew and not destroyed.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from sottovoce.hsm import Handler, Start, Worker
from sottovoce.identity.errors import VoiceCertificateRefused
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
from sottovoce.identity.rotation.ring import ANCHOR_RING, is_anchor_key, issuing_anchor, seed_of
from sottovoce.identity.seeds import ANCHOR_ALGORITHM, ANCHOR_PURPOSE, open_signer, read_seed_file, sign_verified
from sottovoce.session import anchor_id

_PROBE = b"sottovoce.v1 probe\x00"
"""No label of the protocol, and chance follows it: what is signed so is good for nothing else."""


def anchor_handlers(start: Start) -> Iterable[Handler]:
    """Give the answerers."""
    ring = Path(start.files[ANCHOR_RING])

    def create(worker: Worker, question: CreateAnchor) -> CreatedAnchor:
        _refuse_issuer(ring, question.key)
        worker.destroy_signing_key(question.key)
        classical = worker.generate_signing_key(question.key)
        seed = worker.new_sealed_seed(ANCHOR_PURPOSE, ANCHOR_ALGORITHM)
        return CreatedAnchor(classical, open_signer(worker, seed, Path("just made")).public_key, seed)

    def prove(worker: Worker, question: ProveAnchor) -> ProvedAnchor:
        path = ring.with_name(seed_of(question.key))
        signer = open_signer(worker, read_seed_file(path, ANCHOR_PURPOSE, ANCHOR_ALGORITHM), path)
        probe = _PROBE + os.urandom(32)
        worker.sign(question.key, probe)
        sign_verified(signer, probe)
        if anchor_id(worker.public_key(question.key), signer.public_key).hex() != question.id:
            text = f"the keys of anchor {question.id[:16]} are others in this token: restore both from the same backup"
            raise VoiceCertificateRefused(text)
        return ProvedAnchor()

    def destroy(worker: Worker, question: DestroyAnchor) -> DestroyedAnchor:
        _refuse_issuer(ring, question.key)
        worker.destroy_signing_key(question.key)
        return DestroyedAnchor()

    return Handler(CREATE_ANCHOR, create), Handler(PROVE_ANCHOR, prove), Handler(DESTROY_ANCHOR, destroy)


def _refuse_issuer(ring: Path, key: str) -> None:
    if not is_anchor_key(key) or key == issuing_anchor(ring)[0]:
        text = f"{key} is the key that issues, or no anchor's"
        raise VoiceCertificateRefused(text)
