"""Keys, certificates and proofs for sessions in memory, made once from fixed seeds."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.primitives import MldsaSigner, PublicKey, Secret, SignatureAlgorithm, Signer
from sottovoce.session import (
    Anchor,
    CertificateFields,
    LeafKind,
    Proof,
    encode_certificate,
    merkle_tree,
    signed_root,
)

WALL = 1_800_000_000.0
DAY = 86_400
HOST = "voice.example.com"


class P384Signer:
    """Signs `r ‖ s` with P-384 and SHA-384."""

    algorithm = SignatureAlgorithm.ECDSA_P384

    def __init__(self, number: int) -> None:
        self._key = ec.derive_private_key(number, ec.SECP384R1())
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = PublicKey(self.algorithm, point)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48) + s.to_bytes(48)


class Ed25519Signer:
    """Signs with Ed25519."""

    algorithm = SignatureAlgorithm.ED25519

    def __init__(self, seed: bytes) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = PublicKey(self.algorithm, self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class Keys:
    """A classical signer and, unless it is None, a post-quantum one."""

    def __init__(self, classical: Signer, pq: Signer | None) -> None:
        self.classical = classical
        self.pq = pq


def mldsa(algorithm: SignatureAlgorithm, fill: int) -> MldsaSigner:
    return MldsaSigner(algorithm, Secret("seed", bytes([fill]) * 32))


@cache
def anchor_keys() -> Keys:
    return Keys(P384Signer(0xA11CE), mldsa(SignatureAlgorithm.MLDSA87, 0xA1))


@cache
def classical_anchor_keys() -> Keys:
    return Keys(P384Signer(0xA11CE), None)


@cache
def other_anchor_keys() -> Keys:
    return Keys(P384Signer(0xB0B), mldsa(SignatureAlgorithm.MLDSA87, 0xB0))


@cache
def serving_keys() -> Keys:
    return Keys(P384Signer(0x5E21), mldsa(SignatureAlgorithm.MLDSA65, 0x5E))


@cache
def other_serving_keys() -> Keys:
    return Keys(P384Signer(0x5E22), mldsa(SignatureAlgorithm.MLDSA65, 0x5F))


def anchor_of(keys: Keys, authorities: tuple[str, ...] = (HOST,)) -> Anchor:
    return Anchor(authorities, keys.classical.public_key, keys.pq.public_key if keys.pq else None)


def fields_of(anchor: Keys, serving: Keys, **changes: Any) -> CertificateFields:
    """What a good certificate says, with changes."""
    fields = CertificateFields(
        serial=b"\x05" * 16,
        not_before=int(WALL) - DAY,
        not_after=int(WALL) + DAY,
        authorities=(HOST,),
        classical=serving.classical.public_key,
        pq=serving.pq.public_key if serving.pq else None,
        anchor_id=anchor_of(anchor).anchor_id,
    )
    return msgspec.structs.replace(fields, **changes)


def issue(anchor: Keys, serving: Keys, **changes: Any) -> bytes:
    """A certificate that `anchor` signs for `serving`."""
    fields = fields_of(anchor, serving, **changes)
    signed = fields.signed_bytes()
    pq = (anchor.pq.public_key.algorithm, anchor.pq.sign(signed)) if anchor.pq else None
    classical = anchor.classical
    return encode_certificate(fields, (classical.public_key.algorithm, classical.sign(signed)), pq)


@cache
def certificate() -> bytes:
    return issue(anchor_keys(), serving_keys())


def prove(serving: Keys, kind: LeafKind, leaf: bytes, others: Iterable[bytes] = ()) -> Proof:
    """Sign a batch of this leaf and `others`, and give this leaf's proof."""
    root, paths = merkle_tree([*others, leaf])
    signed = signed_root(kind, root)
    path, directions = paths[-1]
    return Proof(
        path=path,
        directions=directions,
        root=root,
        classical=serving.classical.sign(signed),
        pq=serving.pq.sign(signed) if serving.pq else None,
    )
