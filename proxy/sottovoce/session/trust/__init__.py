"""The server's identity: anchors, voice certificates, and Merkle proofs over handshakes (protocol §6)."""

from sottovoce.session.trust.anchors import (
    Anchor,
    AnchorFileInvalid,
    CertificateRefused,
    anchor_id,
    check_anchors,
    check_dates,
    format_anchor_file,
    parse_anchor_file,
    signature_holds,
    verify_certificate,
)
from sottovoce.session.trust.authority import host_of, matches_any
from sottovoce.session.trust.certificate import (
    CLOCK_TOLERANCE_SECONDS,
    CertificateFields,
    VoiceCertificate,
    decode_certificate_untrusted,
    encode_certificate,
)
from sottovoce.session.trust.merkle import (
    LeafKind,
    Path,
    Proof,
    handshake_leaf,
    merkle_root,
    merkle_tree,
    rekey_leaf,
    rekey_leaf_under,
    signed_root,
)
from sottovoce.session.trust.served import ServedCertificate, Signed

__all__ = [
    "CLOCK_TOLERANCE_SECONDS",
    "Anchor",
    "AnchorFileInvalid",
    "CertificateFields",
    "CertificateRefused",
    "LeafKind",
    "Path",
    "Proof",
    "ServedCertificate",
    "Signed",
    "VoiceCertificate",
    "anchor_id",
    "check_anchors",
    "check_dates",
    "decode_certificate_untrusted",
    "encode_certificate",
    "format_anchor_file",
    "handshake_leaf",
    "host_of",
    "matches_any",
    "merkle_root",
    "merkle_tree",
    "parse_anchor_file",
    "rekey_leaf",
    "rekey_leaf_under",
    "signature_holds",
    "signed_root",
    "verify_certificate",
]
