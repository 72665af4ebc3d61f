"""Signatures: a peer's bytes verify or do not, and never raise."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sottovoce.primitives import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    ApiMisuse,
    MldsaSigner,
    PublicKey,
    Secret,
    SignatureAlgorithm,
    Signer,
)
from tests.session.dialogue import Ed25519Signer, P384Signer, mldsa

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
