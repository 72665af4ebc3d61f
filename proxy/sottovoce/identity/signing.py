"""The signing side, inside the token process: roots of handshakes, and voice certificates (protocol §6).

The serving ML-DSA-65 key is opened when the process starts and lives as long as it.  An anchor's ML-DSA-87 key is
opened for one certificate at a time: that of the anchor which issues at that moment (`rotation.ring`).  Its seed is
wiped, the library cleanses the key when it is dropped.  The P-384 keys stay in the token.  Each signature is verified
before it leaves: a fault in the arithmetic could give a key away.

A certificate may be for another node's keys: for those that `serving.json` has under the name that is asked for.
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sottovoce.hsm import Counts, Handler, KeyName, Start, Worker
from sottovoce.identity.errors import ServingKeysUnusable, VoiceCertificateRefused
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
from sottovoce.identity.rotation.ring import ANCHOR_RING, issuing_anchor
from sottovoce.identity.seeds import (
    ANCHOR_ALGORITHM,
    ANCHOR_PURPOSE,
    SERVING_ALGORITHM,
    SERVING_PURPOSE,
    open_signer,
    read_seed_file,
    sign_verified,
)
from sottovoce.identity.serving import SERVING_KEYS, ServingKeys, load_serving_keys
from sottovoce.primitives import SignatureAlgorithm
from sottovoce.session import CertificateFields, LeafKind, anchor_id, encode_certificate, signed_root
from sottovoce.wire import MAX_AUTHORITIES_BYTES

SERVING_SEED = "serving_seed"
"""The name in `Start.files` under which the serving key's sealed seed is given."""
_SERIAL_BYTES = 16
_LENGTH_BYTES = 2
_KINDS = {int(kind): kind for kind in LeafKind}


def identity_handlers(
    worker: Worker, start: Start, counts: Counts, wall: Callable[[], float] = time.time
) -> Iterable[Handler]:
    """Open the serving key and give the answerers.  Raises SealedSeedInvalid and so on, with the file's name."""
    serving_path, ring = Path(start.files[SERVING_SEED]), Path(start.files[ANCHOR_RING])
    serving = open_signer(worker, read_seed_file(serving_path, SERVING_PURPOSE, SERVING_ALGORITHM), serving_path)
    published = _Published(start, ServingKeys(worker.public_key(KeyName.SERVING), serving.public_key))
    published.check_own()
    _read_anchor(ring)

    def sign_root(worker: Worker, question: SignRoot) -> RootSignatures:
        kind = _KINDS.get(question.kind)
        if kind is None or len(question.root) != ROOT_BYTES:
            text = "a root has a known kind and 48 bytes"
            raise VoiceCertificateRefused(text)
        message = signed_root(kind, question.root)
        answer = RootSignatures(worker.sign(KeyName.SERVING, message), sign_verified(serving, message))
        counts.add("roots_signed")
        counts.add(f"roots_signed.{kind.name.lower()}")
        return answer

    def issue(worker: Worker, question: IssueVoiceCertificate) -> IssuedVoiceCertificate:
        _check_request(question)
        keys = published.keys_of(question.node)
        key, path, meant = issuing_anchor(ring)
        signer = open_signer(worker, read_seed_file(path, ANCHOR_PURPOSE, ANCHOR_ALGORITHM), path)
        own = anchor_id(worker.public_key(key), signer.public_key)
        if own.hex() != (meant or own.hex()):
            text = f"{ring} and {path} are not of one anchor: restore both from the same backup"
            raise VoiceCertificateRefused(text)
        now = int(wall())
        fields = CertificateFields(
            serial=os.urandom(_SERIAL_BYTES),
            not_before=now,
            not_after=now + question.lifetime_seconds,
            authorities=question.authorities,
            classical=keys.classical,
            pq=keys.pq,
            anchor_id=own,
        )
        message = fields.signed_bytes()
        classical = (SignatureAlgorithm.ECDSA_P384, worker.sign(key, message))
        certificate = encode_certificate(fields, classical, (signer.algorithm, sign_verified(signer, message)))
        counts.add("voice_certificates_issued")
        return IssuedVoiceCertificate(certificate)

    return Handler(SIGN_ROOT, sign_root), Handler(ISSUE_VOICE_CERTIFICATE, issue)


class _Published:
    """The list of the nodes' serving keys, read anew each time; without one there are this token's own alone."""

    def __init__(self, start: Start, own: ServingKeys) -> None:
        self._path = Path(start.files[SERVING_KEYS])
        self._node = start.node
        self._own = own

    def keys_of(self, node: str) -> ServingKeys:
        """Give a node's keys.  Raises ServingKeysUnusable, VoiceCertificateRefused for a node that has none there."""
        nodes = self.check_own()
        if node not in nodes:
            text = f"{self._path} has no serving keys of node {node}: publish that node's keys there"
            raise VoiceCertificateRefused(text)
        return nodes[node]

    def check_own(self) -> dict[str, ServingKeys]:
        """Give all, having seen that the others certify what this token has.  Raises ServingKeysUnusable."""
        nodes = self._load()
        if nodes.get(self._node) != self._own:
            text = (
                f"{self._path} has other serving keys of node {self._node} than its token, or none: "
                "restore both from the same backup"
            )
            raise ServingKeysUnusable(text)
        return nodes

    def _load(self) -> dict[str, ServingKeys]:
        nodes = load_serving_keys(self._path)
        return {self._node: self._own} if nodes is None else nodes


def _read_anchor(ring: Path) -> None:
    """See at the start that there is an anchor to issue under.  Raises SealedSeedInvalid, AnchorsUnusable."""
    read_seed_file(issuing_anchor(ring)[1], ANCHOR_PURPOSE, ANCHOR_ALGORITHM)


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
