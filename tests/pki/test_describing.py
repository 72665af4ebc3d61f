import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from sottovoce.pki.describing import (
    CertificateSeen,
    PrivateKeySeen,
    PublicKeySeen,
    RequestSeen,
    Unreadable,
    describe_der,
    describe_pem,
)
from sottovoce.pki.profile import sign_issuing_certificate, sign_leaf, sign_root_certificate

NOW = int(time.time())
KEY = ec.generate_private_key(ec.SECP384R1())
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = sign_root_certificate(KEY, NOW)
ISSUING = sign_issuing_certificate(ROOT, KEY, KEY.public_key(), NOW)
LEAF = sign_leaf(ISSUING, KEY, LEAF_KEY.public_key(), ("voice.example", "192.0.2.1"), NOW)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def test_a_chain_is_told_certificate_by_certificate() -> None:
    leaf, issuing, root = describe_pem(b"some words before\n" + pem(LEAF, ISSUING, ROOT))
    assert isinstance(leaf, CertificateSeen)
    assert isinstance(issuing, CertificateSeen)
    assert isinstance(root, CertificateSeen)
    assert leaf.names == ("voice.example", "192.0.2.1")
    assert (leaf.key, issuing.key) == ("ECDSA P-256", "ECDSA P-384")
    assert (leaf.is_ca, issuing.is_ca, root.is_ca) == (False, True, True)
    assert (leaf.issuer, root.is_self_issued, issuing.is_self_issued) == (issuing.subject, True, False)
    assert root.not_before == NOW
    assert leaf.sha256 == LEAF.fingerprint(hashes.SHA256()).hex()
    assert describe_der(LEAF.public_bytes(Encoding.DER)) == leaf
    assert describe_der(b"0\x82no") is None


def test_a_private_key_is_told_by_its_kind_alone() -> None:
    plain = LEAF_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (seen,) = describe_pem(plain)
    assert seen == PrivateKeySeen("ECDSA P-256", is_encrypted=False)
    assert str(LEAF_KEY.private_numbers().private_value) not in repr(seen)
    (seen,) = describe_pem(
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    assert seen == PrivateKeySeen("Ed25519", is_encrypted=False)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        (seen,) = describe_pem(LEAF_KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"word")))
        assert isinstance(seen, PrivateKeySeen)
        assert seen.is_encrypted


def test_public_keys_and_requests() -> None:
    key = rsa.generate_private_key(65537, 2048)
    (seen,) = describe_pem(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert seen == PublicKeySeen("RSA 2048")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kiosk")])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("kiosk.example")]), critical=False)
        .sign(LEAF_KEY, hashes.SHA256())
    )
    (seen,) = describe_pem(request.public_bytes(Encoding.PEM))
    assert seen == RequestSeen("CN=kiosk", ("kiosk.example",), "ECDSA P-256", is_signed_well=True)


def test_what_is_not_what_it_says() -> None:
    assert describe_pem(b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----") == (Unreadable("CERTIFICATE"),)
    assert describe_pem(b"-----BEGIN NONSENSE-----\nbm8=\n-----END NONSENSE-----") == (Unreadable("NONSENSE"),)
    assert describe_pem(b"-----BEGIN CERTIFICATE-----\n") == (Unreadable("CERTIFICATE"),)
    assert len(describe_pem(b"-----BEGIN A-----" * 1000)) == 100
    assert describe_pem(b"") == ()


@given(st.binary(), st.integers(0, 600), st.integers(0, 255))
@example(b"", 48, 48)  # a serial number below zero
def test_any_bytes_are_taken(noise: bytes, place: int, byte: int) -> None:
    describe_pem(noise)
    describe_der(noise)
    spoiled = bytearray(LEAF.public_bytes(Encoding.DER))
    spoiled[place % len(spoiled)] = byte
    describe_der(bytes(spoiled))
    text = bytearray(pem(LEAF))
    text[place % len(text)] = byte
    describe_pem(bytes(text))
