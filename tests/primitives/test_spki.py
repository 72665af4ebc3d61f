"""Public keys as others read them: keys of `cryptography`'s own making, and bytes that are none."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.primitives import KeyRefused, ec_spki, ed25519_spki, p384_point, rsa_spki, verify_spki

MESSAGE = b"a message"
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | x25519.X25519PrivateKey
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED25519, RSA = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 3072)


def spki_of(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def ecdsa(key: ec.EllipticCurvePrivateKey, algorithm: hashes.HashAlgorithm) -> bytes:
    half = (key.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(algorithm)))
    return r.to_bytes(half) + s.to_bytes(half)


def pss(key: rsa.RSAPrivateKey, salt: int = 48) -> bytes:
    return key.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA384()), salt), hashes.SHA384())


SIGNED: list[tuple[Private, Callable[[], bytes]]] = [
    (P256, lambda: ecdsa(P256, hashes.SHA256())),
    (P384, lambda: ecdsa(P384, hashes.SHA384())),
    (ED25519, lambda: ED25519.sign(MESSAGE)),
    (RSA, lambda: pss(RSA)),
]


def test_keys_are_the_ones_that_others_write() -> None:
    assert ec_spki(point_of(P256)) == spki_of(P256)
    assert ec_spki(point_of(P384)) == spki_of(P384)
    assert ed25519_spki(ED25519.public_key().public_bytes_raw()) == spki_of(ED25519)
    numbers = RSA.public_key().public_numbers()
    assert rsa_spki(numbers.n, numbers.e) == spki_of(RSA)
    assert p384_point(spki_of(P384)) == point_of(P384)


@pytest.mark.parametrize(("key", "sign"), SIGNED)
def test_a_signature_is_right_for_its_key_and_message_only(key: Private, sign: Callable[[], bytes]) -> None:
    signature = sign()
    assert verify_spki(spki_of(key), MESSAGE, signature)
    assert not verify_spki(spki_of(key), MESSAGE + b".", signature)
    for wrong in (signature[:-1], signature + b"\x00", bytes(len(signature)), b"", b"\xff" * len(signature)):
        assert not verify_spki(spki_of(key), MESSAGE, wrong)
    for other, _ in SIGNED:
        assert verify_spki(spki_of(other), MESSAGE, signature) is (other is key)


def test_other_ways_to_sign_are_not_taken() -> None:
    assert not verify_spki(spki_of(P384), MESSAGE, ecdsa(P384, hashes.SHA256()))
    assert not verify_spki(spki_of(RSA), MESSAGE, pss(RSA, salt=32))
    assert not verify_spki(spki_of(RSA), MESSAGE, RSA.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA384()))


def test_keys_of_other_kinds_verify_nothing() -> None:
    short, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())
    assert not verify_spki(spki_of(short), MESSAGE, pss(short))
    assert not verify_spki(spki_of(curve), MESSAGE, ecdsa(curve, hashes.SHA384()))
    assert not verify_spki(spki_of(x25519.X25519PrivateKey.generate()), MESSAGE, bytes(64))
    numbers = short.public_key().public_numbers()
    with pytest.raises(KeyRefused, match="is an RSA key of 2048 bits, at least 3072"):
        rsa_spki(numbers.n, numbers.e)


@given(st.binary(max_size=128))
def test_bytes_that_are_no_key_are_refused_and_verify_nothing(data: bytes) -> None:
    assert not verify_spki(data, MESSAGE, bytes(64))
    with pytest.raises(KeyRefused, match="is no public key"):
        p384_point(data)
    with pytest.raises(KeyRefused, match=r"is no point of P-256 or P-384"):
        ec_spki(data)


@pytest.mark.parametrize("key", [P256, ED25519, RSA])
def test_a_key_of_another_kind_is_no_p384_key(key: Private) -> None:
    with pytest.raises(KeyRefused, match="is no P-384 key"):
        p384_point(spki_of(key))


def test_numbers_and_bytes_that_are_no_key_are_refused() -> None:
    off_curve = point_of(P384)[:-1] + bytes([point_of(P384)[-1] ^ 1])
    with pytest.raises(KeyRefused):
        ec_spki(off_curve)
    for raw in (bytes(32), bytes(31), b"\x01" + bytes(31)):
        with pytest.raises(KeyRefused, match="is no key of Ed25519"):
            ed25519_spki(raw)
    for numbers in ((0, 65537), (2**3072 - 1, 2), (2**3072 - 1, 1)):
        with pytest.raises(KeyRefused, match="is no RSA key"):
            rsa_spki(*numbers)
