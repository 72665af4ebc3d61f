"""ServerVerify and RekeyVerify: from a leaf over the Merkle path to two signatures, and back (protocol §6)."""

from sottovoce.primitives import ApiMisuse
from sottovoce.session.trust.anchors import signature_holds
from sottovoce.session.trust.certificate import VoiceCertificate
from sottovoce.session.trust.merkle import LeafKind, Proof, merkle_root, signed_root
from sottovoce.session.trust.served import ServedCertificate
from sottovoce.wire import Code, WireError
from sottovoce.wire.messages import Verification


def verify_proof(kind: LeafKind, leaf: bytes, verification: Verification, certificate: VoiceCertificate) -> None:
    """Check both signatures of the certificate's keys over the root of `leaf`.  Raises auth_failed."""
    keys = certificate.fields
    if (keys.pq is None) is not (verification.pq is None):
        raise WireError(Code.AUTH_FAILED, "a PQ signature is missing, or there without a key")
    signed = signed_root(kind, merkle_root(leaf, verification.path, verification.directions))
    if not signature_holds(keys.classical, verification.classical, signed):
        raise WireError(Code.AUTH_FAILED, "the server's classical signature is wrong")
    if keys.pq and verification.pq and not signature_holds(keys.pq, verification.pq, signed):
        raise WireError(Code.AUTH_FAILED, "the server's PQ signature is wrong")


def verification_of(proof: Proof, leaf: bytes, certificate: ServedCertificate) -> Verification:
    """Dress the proof of `leaf` for the wire, with the algorithms of the certificate's keys.

    Raises ApiMisuse for a proof of another leaf, or with other signatures than the certificate has keys; whether the
    signatures are right is for who made them to see.
    """
    if merkle_root(leaf, proof.path, proof.directions) != proof.root:
        raise ApiMisuse("a proof does not lead from its leaf to its root: it was made under another certificate")
    keys = certificate.decoded.fields
    if (keys.pq is None) is not (proof.pq is None):
        raise ApiMisuse("a proof's PQ signature is missing, or there without a key in the certificate")
    return Verification(
        path=proof.path,
        directions=proof.directions,
        classical=(keys.classical.algorithm, proof.classical),
        pq=(keys.pq.algorithm, proof.pq) if keys.pq and proof.pq is not None else None,
    )
