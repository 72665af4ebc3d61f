"""Clients' own keys (protocol §4, kind 2): made, and written as text.  Pure, but for the making.

A public key is one line, `ALGORITHM:BASE64`, with the names that the anchor file has for algorithms, in the protocol's
byte form.  It is also read from PEM, as `openssl pkey -pubout` writes it.  A private key is PKCS #8 in PEM.
"""

import base64
from collections.abc import Callable
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from sottovoce.pki.errors import ClientKeyUnusable
from sottovoce.primitives import PublicKey, SignatureAlgorithm

ClientKeyAlgorithm = Literal["ed25519", "ecdsa_secp384r1_sha384", "mldsa44", "mldsa65", "mldsa87"]
"""The algorithms of docs/protocol.md §6, by name."""

_Private = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
_NUMBERS: dict[str, SignatureAlgorithm] = {
    "ed25519": SignatureAlgorithm.ED25519,
    "ecdsa_secp384r1_sha384": SignatureAlgorithm.ECDSA_P384,
    "mldsa44": SignatureAlgorithm.MLDSA44,
    "mldsa65": SignatureAlgorithm.MLDSA65,
    "mldsa87": SignatureAlgorithm.MLDSA87,
}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_MAKERS: dict[ClientKeyAlgorithm, Callable[[], _Private]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa_secp384r1_sha384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "mldsa44": mldsa.MLDSA44PrivateKey.generate,
    "mldsa65": mldsa.MLDSA65PrivateKey.generate,
    "mldsa87": mldsa.MLDSA87PrivateKey.generate,
}


def new_private_key(algorithm: ClientKeyAlgorithm) -> tuple[bytes, PublicKey]:
    """Make a key pair; give the private key as PEM, which the caller writes (0600) and lets go, and the public one."""
    private = _MAKERS[algorithm]()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, _of_library(private.public_key())


def format_public_key(key: PublicKey) -> str:
    """Give a key as `ALGORITHM:BASE64`."""
    return f"{_NAMES[key.algorithm]}:{base64.b64encode(key.key).decode()}"


def parse_public_key(text: str) -> PublicKey:
    """Read `ALGORITHM:BASE64`.  Raises ClientKeyUnusable."""
    name, colon, encoded = text.partition(":")
    algorithm = _NUMBERS.get(name)
    if algorithm is None or not colon:
        raise ClientKeyUnusable(f"it is no ALGORITHM:BASE64 with one of {', '.join(_NUMBERS)}")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except ValueError:
        decoded = b""
    key = PublicKey(algorithm, decoded)
    # The library takes more padding than there should be, and any bits where zeros should be.
    if base64.b64encode(decoded) != encoded.encode() or not key.is_valid():
        raise ClientKeyUnusable(f"after {name}: stands no base64 of a public key of that algorithm")
    return key


def read_public_key_file(data: bytes) -> PublicKey:
    """Read a file with one public key: a line as above, or PEM.  Raises ClientKeyUnusable."""
    if b"PRIVATE KEY-----" in data:
        raise ClientKeyUnusable("it is a private key, which stays with the client: give the public one")
    if b"-----BEGIN" not in data:
        try:
            return parse_public_key(data.decode("ascii").strip())
        except UnicodeDecodeError:
            raise ClientKeyUnusable("it is no text: give what sottovoce clients keygen printed") from None
    try:
        key = _of_library(load_pem_public_key(data))
    except (ValueError, UnsupportedAlgorithm):
        raise ClientKeyUnusable(
            "its PEM is damaged, or of an unknown kind: write it with openssl pkey -pubout"
        ) from None
    if not key.is_valid():
        raise ClientKeyUnusable("it is a weak key, of small order: make another")
    return key


def _of_library(key: PublicKeyTypes) -> PublicKey:
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP384R1):
            point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            return PublicKey(SignatureAlgorithm.ECDSA_P384, point)
        case ed25519.Ed25519PublicKey():
            return PublicKey(SignatureAlgorithm.ED25519, key.public_bytes_raw())
        case mldsa.MLDSA44PublicKey():
            return PublicKey(SignatureAlgorithm.MLDSA44, key.public_bytes_raw())
        case mldsa.MLDSA65PublicKey():
            return PublicKey(SignatureAlgorithm.MLDSA65, key.public_bytes_raw())
        case mldsa.MLDSA87PublicKey():
            return PublicKey(SignatureAlgorithm.MLDSA87, key.public_bytes_raw())
        case _:
            raise ClientKeyUnusable("its key is of a kind that is not taken: give one of Ed25519, P-384 or ML-DSA")
