"""What stands in our certificates (RFC 5280): root CA, issuing CA, TLS leaf.  The keys that sign are in the token.

| certificate | key   | life     | constraints           | usage                            |
|-------------|-------|----------|-----------------------|----------------------------------|
| root        | P-384 | 10 years | CA, path length 1     | keyCertSign, cRLSign             |
| issuing     | P-384 | 5 years  | CA, path length 0     | keyCertSign, cRLSign             |
| leaf        | P-256 | ≤ 24 h   | no CA                 | digitalSignature; TLS server     |

Basic constraints and key usage are critical.  Each certificate names its own key and its issuer's.  A subject of a CA
carries the beginning of its key's id: two directories made on one machine have CAs of different names.  There is no
revocation: a leaf is gone within a day.
"""

import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sottovoce.pki.errors import LeafRefused
from sottovoce.pki.names import general_names

LEAF_SECONDS = 86_400
"""The longest life of a leaf."""
MIN_LEAF_SECONDS = 3_600
BACKDATED_SECONDS = 300
"""A leaf begins a little in the past, for clients whose clock is behind; it does not end later for that."""
_ROOT_DAYS = 3_650
_ISSUING_DAYS = 1_825
_MAX_COMMON_NAME = 64
_ORGANISATION = "Sottovoce"


def sign_root_certificate(key: ec.EllipticCurvePrivateKey, wall: float) -> x509.Certificate:
    """Make the root's certificate at Unix time `wall`, signed by itself."""
    public = key.public_key()
    subject = _ca_name("root CA", public)
    builder = _dated(wall, dt.timedelta(days=_ROOT_DAYS))
    return _as_ca(builder.subject_name(subject).issuer_name(subject), public, public, 1).sign(key, hashes.SHA384())


def sign_issuing_certificate(
    root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey, wall: float
) -> x509.Certificate:
    """Make the issuing CA's certificate at Unix time `wall`."""
    builder = _dated(wall, dt.timedelta(days=_ISSUING_DAYS))
    builder = builder.subject_name(_ca_name("issuing CA", public)).issuer_name(root.subject)
    return _as_ca(builder, public, root_key.public_key(), 0).sign(root_key, hashes.SHA384())


def sign_leaf(  # noqa: PLR0913  what stands in a certificate
    issuing: x509.Certificate,
    issuing_key: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    names: Sequence[str],
    wall: float,
    *,
    lifetime_seconds: int = LEAF_SECONDS,
) -> x509.Certificate:
    """Make a TLS server's certificate at Unix time `wall`.  Raises LeafRefused for unfit names or an unfit lifetime."""
    if not MIN_LEAF_SECONDS <= lifetime_seconds <= LEAF_SECONDS:
        text = f"a TLS certificate lives for {MIN_LEAF_SECONDS // 3600} to {LEAF_SECONDS // 3600} hours"
        raise LeafRefused(text)
    alternatives = general_names(names)
    common = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= _MAX_COMMON_NAME else []
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION), *common])
    builder = _dated(wall - BACKDATED_SECONDS, dt.timedelta(seconds=lifetime_seconds), issuing.not_valid_after_utc)
    return (
        _with_key_ids(builder.subject_name(subject).issuer_name(issuing.subject), public, issuing_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_data=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(issuing_key, hashes.SHA384())
    )


def _dated(begin: float, life: dt.timedelta, latest: dt.datetime | None = None) -> x509.CertificateBuilder:
    """Begin a certificate with a serial number and dates; it does not outlive its issuer."""
    start = dt.datetime.fromtimestamp(int(begin), dt.UTC)
    end = start + life if latest is None else min(start + life, latest)
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(end)


def _as_ca(
    builder: x509.CertificateBuilder,
    public: ec.EllipticCurvePublicKey,
    issuer: ec.EllipticCurvePublicKey,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _with_key_ids(builder, public, issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(signs_data=False), critical=True)
    )


def _with_key_ids(
    builder: x509.CertificateBuilder, public: ec.EllipticCurvePublicKey, issuer: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        builder.public_key(public)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )


def _usage(*, signs_data: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs_data,
        key_cert_sign=not signs_data,
        crl_sign=not signs_data,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ca_name(role: str, public: ec.EllipticCurvePublicKey) -> x509.Name:
    key_id = x509.SubjectKeyIdentifier.from_public_key(public).digest[:4].hex()
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Sottovoce {role} {key_id}"),
        ]
    )
