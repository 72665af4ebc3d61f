"""Clients' own keys, as text."""

from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.pki import (
    ClientKeyAlgorithm,
    ClientKeyUnusable,
    format_public_key,
    new_private_key,
    parse_public_key,
    read_public_key_file,
)
from sottovoce.primitives import PublicKey, SignatureAlgorithm

ALGORITHMS: tuple[ClientKeyAlgorithm, ...] = get_args(ClientKeyAlgorithm)


def pem_of(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_made_and_its_public_half_read_again(algorithm: ClientKeyAlgorithm) -> None:
    pem, public = new_private_key(algorithm)
    line = format_public_key(public)
    assert line.startswith(f"{algorithm}:")
    assert parse_public_key(line) == public
    assert public.is_valid()
    private = load_pem_private_key(pem, None)
    info = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert read_public_key_file(info) == read_public_key_file(f"{line}\n".encode()) == public
    assert new_private_key(algorithm)[1] != public


LINE = format_public_key(new_private_key("ed25519")[1])
SMALL = PublicKey(SignatureAlgorithm.ED25519, bytes(32))


@pytest.mark.protocol("P6.20")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no ALGORITHM:BASE64 with one of ed25519, ecdsa_secp384r1_sha384, mldsa44"),
        (b"\xff\xfe", "it is no text: give what sottovoce clients keygen printed"),
        (LINE.encode() + b"\n" + LINE.encode(), "stands no base64 of a public key"),
        (LINE.encode()[:-1], "stands no base64 of a public key"),
        (LINE.replace("ed25519", "ed448").encode(), "it is no ALGORITHM:BASE64"),
        (format_public_key(SMALL).encode(), "stands no base64 of a public key"),
        (new_private_key("ed25519")[0], "it is a private key, which stays with the client: give the public one"),
        (pem_of(ec.generate_private_key(ec.SECP256R1()).public_key()), "give one of Ed25519, P-384 or ML-DSA"),
        (pem_of(rsa.generate_private_key(65537, 2048).public_key()), "give one of Ed25519, P-384 or ML-DSA"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "its PEM is damaged, or of an unknown kind"),
        (pem_of(ed25519.Ed25519PublicKey.from_public_bytes(bytes(32))), "it is a weak key, of small order"),
    ],
)
def test_what_is_no_public_key_is_one_line(data: bytes, reason: str) -> None:
    with pytest.raises(ClientKeyUnusable) as caught:
        read_public_key_file(data)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.binary() | st.builds(lambda a, b: f"{a}:{b}".encode(), st.sampled_from(ALGORITHMS), st.text("AB=+/")))
def test_any_file_is_a_key_or_a_line(data: bytes) -> None:
    try:
        assert read_public_key_file(data).is_valid()
    except ClientKeyUnusable as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right
