"""Signatures: a peer's bytes verify or do not, and never raise."""

from typing import Any

import hypothesis.strategies as st
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import mldsa as library_mldsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings

from sottovoce.primitives import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    ApiMisuse,
    KeyRefused,
    MldsaSigner,
    PemSigner,
    PublicKey,
    Secret,
    SignatureAlgorithm,
    Signer,
)
from tests.session.keys import Ed25519Signer, P384Signer, mldsa

SIGNERS: dict[SignatureAlgorithm, Signer] = {
    SignatureAlgorithm.ECDSA_P384: P384Signer(0xC0FFEE),
    SignatureAlgorithm.ED25519: Ed25519Signer(b"\x0e" * 32),
    SignatureAlgorithm.MLDSA44: mldsa(SignatureAlgorithm.MLDSA44, 0x44),
    SignatureAlgorithm.MLDSA65: mldsa(SignatureAlgorithm.MLDSA65, 0x65),
    SignatureAlgorithm.MLDSA87: mldsa(SignatureAlgorithm.MLDSA87, 0x87),
}
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
"""The eight points, and one of them in a form that is not the canonical one."""


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_what_is_signed_verifies_and_nothing_else_does(algorithm: SignatureAlgorithm) -> None:
    signer = SIGNERS[algorithm]
    key, signature = signer.public_key, signer.sign(b"message")
    assert (len(key.key), len(signature)) == (PUBLIC_KEY_BYTES[algorithm], SIGNATURE_BYTES[algorithm])
    assert key.is_valid()
    assert key.encoded == algorithm.to_bytes(2) + key.key
    assert key.verify(b"message", signature)
    assert not key.verify(b"massage", signature)
    assert not key.verify(b"message", signature[:-1] + bytes([signature[-1] ^ 1]))
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
        assert not key.verify(b"message", wrong)
    assert algorithm.is_post_quantum is (len(key.key) > 97)


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_keys_of_a_wrong_length_are_none(algorithm: SignatureAlgorithm) -> None:
    key = SIGNERS[algorithm].public_key.key
    signature = SIGNERS[algorithm].sign(b"m")
    for bad in (b"", key[:-1], key + b"\0"):
        assert not PublicKey(algorithm, bad).is_valid()
        assert not PublicKey(algorithm, bad).verify(b"m", signature)


@given(st.sampled_from(SignatureAlgorithm), st.data())
@settings(max_examples=60, deadline=None)
def test_arbitrary_bytes_of_the_right_length_raise_nothing(algorithm: SignatureAlgorithm, data: st.DataObject) -> None:
    key = data.draw(st.binary(min_size=PUBLIC_KEY_BYTES[algorithm], max_size=PUBLIC_KEY_BYTES[algorithm]))
    signature = data.draw(st.binary(min_size=SIGNATURE_BYTES[algorithm], max_size=SIGNATURE_BYTES[algorithm]))
    assert not PublicKey(algorithm, key).verify(b"m", signature)
    assert PublicKey(algorithm, key).is_valid() in {True, False}


@pytest.mark.parametrize("encoded", SMALL_ORDER)
def test_ed25519_keys_of_small_order(encoded: str) -> None:
    key = PublicKey(SignatureAlgorithm.ED25519, bytes.fromhex(encoded))
    assert not key.is_valid()
    assert not key.verify(b"m", b"\x01" + bytes(63))


@pytest.mark.parametrize("first", [0x02, 0x00, 0x05])
def test_points_that_are_not_uncompressed(first: int) -> None:
    point = SIGNERS[SignatureAlgorithm.ECDSA_P384].public_key.key
    assert not PublicKey(SignatureAlgorithm.ECDSA_P384, bytes([first]) + point[1:]).is_valid()


def test_a_classical_algorithm_is_not_expanded_from_a_seed() -> None:
    with pytest.raises(ApiMisuse):
        MldsaSigner(SignatureAlgorithm.ED25519, Secret("seed", bytes(32)))


# --- keys from files ------------------------------------------------------------------------------------------------

_IN_FILES = {
    SignatureAlgorithm.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    SignatureAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    SignatureAlgorithm.MLDSA44: library_mldsa.MLDSA44PrivateKey.generate,
    SignatureAlgorithm.MLDSA65: library_mldsa.MLDSA65PrivateKey.generate,
    SignatureAlgorithm.MLDSA87: library_mldsa.MLDSA87PrivateKey.generate,
}


def _pem(key: Any, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.protocol("P6.19")
@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_a_client_key_from_a_file_signs_in_the_protocols_form(algorithm: SignatureAlgorithm) -> None:
    signer = PemSigner.from_pem(_pem(_IN_FILES[algorithm]()))
    assert signer.public_key.algorithm is algorithm
    assert signer.public_key.is_valid()
    signature = signer.sign(b"message")
    assert len(signature) == SIGNATURE_BYTES[algorithm]
    assert signer.public_key.verify(b"message", signature)
    assert not signer.public_key.verify(b"massage", signature)
    assert repr(signer) == f"PemSigner({algorithm.name})"


def test_a_key_that_was_made_by_openssl_in_its_older_form() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert PemSigner.from_pem(pem).public_key == PemSigner.from_pem(_pem(key)).public_key


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        (_pem(ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b"pass")), "is encrypted: "),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "curve secp256r1: give one of Ed25519, P-384 or ML-DSA"),
        (_pem(rsa.generate_private_key(65537, 2048)), "of another kind: "),
        (_pem(x25519.X25519PrivateKey.generate()), "of another kind: "),
        (_pem(ed25519.Ed25519PrivateKey.generate())[:60], "no private key in PEM"),
        (b"", "no private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", "no private key in PEM"),
    ],
)
def test_what_is_no_client_key_is_named_in_a_line(pem: bytes, says: str) -> None:
    with pytest.raises(KeyRefused, match=says) as refusal:
        PemSigner.from_pem(pem)
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert ": " in str(refusal.value)
