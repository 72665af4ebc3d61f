"""Signatures in the encodings of the protocol (§6): ECDSA P-384, Ed25519 and ML-DSA.

| algorithm                | public key               | signature            |
|--------------------------|--------------------------|----------------------|
| 0x0503 ECDSA P-384       | uncompressed point, 97 B | r ‖ s, 48 B each     |
| 0x0807 Ed25519           | 32 B (RFC 8032)          | 64 B                 |
| 0x0904/5/6 ML-DSA-44/65/87 | FIPS 204 byte string   | FIPS 204 byte string |

Verification of a peer's bytes never raises: it is true or false.  ML-DSA is pure, with an empty context, and signs
hedged.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, Self

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sottovoce.primitives.errors import ApiMisuse, KeyRefused
from sottovoce.primitives.secret import Secret

_P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
_ED25519_PRIME = 2**255 - 19
_ED25519_ORDER8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_ED25519_SMALL_ORDER_Y = frozenset({0, 1, _ED25519_PRIME - 1, _ED25519_ORDER8_Y, _ED25519_PRIME - _ED25519_ORDER8_Y})
"""The y coordinates of the eight points of small order; a key with one of them signs nothing."""


class SignatureAlgorithm(IntEnum):
    """Signature algorithms, by their TLS code points."""

    ECDSA_P384 = 0x0503
    ED25519 = 0x0807
    MLDSA44 = 0x0904
    MLDSA65 = 0x0905
    MLDSA87 = 0x0906

    @property
    def is_post_quantum(self) -> bool:
        """Whether the algorithm is ML-DSA."""
        return self in {SignatureAlgorithm.MLDSA44, SignatureAlgorithm.MLDSA65, SignatureAlgorithm.MLDSA87}


PUBLIC_KEY_BYTES = {
    SignatureAlgorithm.ECDSA_P384: 97,
    SignatureAlgorithm.ED25519: 32,
    SignatureAlgorithm.MLDSA44: 1312,
    SignatureAlgorithm.MLDSA65: 1952,
    SignatureAlgorithm.MLDSA87: 2592,
}
SIGNATURE_BYTES = {
    SignatureAlgorithm.ECDSA_P384: 96,
    SignatureAlgorithm.ED25519: 64,
    SignatureAlgorithm.MLDSA44: 2420,
    SignatureAlgorithm.MLDSA65: 3309,
    SignatureAlgorithm.MLDSA87: 4627,
}

_MldsaPublic = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
_MldsaPrivate = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | _MldsaPrivate
_Loaded = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | _MldsaPublic

_LOAD_MLDSA: dict[SignatureAlgorithm, Callable[[bytes], _MldsaPublic]] = {
    SignatureAlgorithm.MLDSA44: mldsa.MLDSA44PublicKey.from_public_bytes,
    SignatureAlgorithm.MLDSA65: mldsa.MLDSA65PublicKey.from_public_bytes,
    SignatureAlgorithm.MLDSA87: mldsa.MLDSA87PublicKey.from_public_bytes,
}
_EXPAND_MLDSA: dict[SignatureAlgorithm, Callable[[bytes | bytearray], _MldsaPrivate]] = {
    SignatureAlgorithm.MLDSA44: mldsa.MLDSA44PrivateKey.from_seed_bytes,
    SignatureAlgorithm.MLDSA65: mldsa.MLDSA65PrivateKey.from_seed_bytes,
    SignatureAlgorithm.MLDSA87: mldsa.MLDSA87PrivateKey.from_seed_bytes,
}


class PublicKey(msgspec.Struct, frozen=True):
    """A public key of one algorithm, in the protocol's byte form."""

    algorithm: SignatureAlgorithm
    key: bytes

    @property
    def encoded(self) -> bytes:
        """`alg u16 ‖ key`, as certificates and anchor ids carry it."""
        return self.algorithm.to_bytes(2) + self.key

    def is_valid(self) -> bool:
        """Whether the bytes are a usable key: right length, a point on the curve, not of small order."""
        if len(self.key) != PUBLIC_KEY_BYTES[self.algorithm]:
            return False
        try:
            self._load()
        except ValueError:
            return False
        return True

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` is right.  Never raises, whatever the bytes are."""
        if len(self.key) != PUBLIC_KEY_BYTES[self.algorithm] or len(signature) != SIGNATURE_BYTES[self.algorithm]:
            return False
        try:
            loaded = self._load()
            if isinstance(loaded, ec.EllipticCurvePublicKey):
                loaded.verify(_to_der(signature), message, ec.ECDSA(hashes.SHA384()))
            else:
                loaded.verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _load(self) -> _Loaded:
        """Give the library's key.  Raises ValueError for bytes that are none."""
        if self.algorithm is SignatureAlgorithm.ECDSA_P384:
            if self.key[0] != 0x04:  # noqa: PLR2004  SEC 1 §2.3.3: the mark of an uncompressed point
                raise ValueError("a P-384 key must be an uncompressed point")
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), self.key)
        if self.algorithm is SignatureAlgorithm.ED25519:
            y = (int.from_bytes(self.key, "little") & (2**255 - 1)) % _ED25519_PRIME
            if y in _ED25519_SMALL_ORDER_Y:
                raise ValueError("an Ed25519 key of small order")
            return ed25519.Ed25519PublicKey.from_public_bytes(self.key)
        return _LOAD_MLDSA[self.algorithm](self.key)


def _to_der(signature: bytes) -> bytes:
    """Turn `r ‖ s` into the DER that the library reads.  Raises ValueError unless 1 ≤ r, s < n."""
    r, s = int.from_bytes(signature[:48]), int.from_bytes(signature[48:])
    if not (0 < r < _P384_ORDER and 0 < s < _P384_ORDER):
        raise ValueError("a signature's r or s is out of range")
    return encode_dss_signature(r, s)


class Signer(Protocol):
    """Something that signs; tests hand in recorded ones."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this signs."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; the signature is in the protocol's byte form."""
        ...


class MldsaSigner:
    """ML-DSA with a key made from its 32-byte seed (FIPS 204 §5.1); the library cleanses the key when dropped."""

    def __init__(self, algorithm: SignatureAlgorithm, seed: Secret) -> None:
        """Expand `seed`; the caller wipes it."""
        if not algorithm.is_post_quantum:
            raise ApiMisuse(f"{algorithm.name} is not ML-DSA")
        self.algorithm = algorithm
        self._private = _EXPAND_MLDSA[algorithm](seed.expose())
        self.public_key = PublicKey(algorithm, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Sign `message`, hedged, with an empty context."""
        return self._private.sign(message)


_MLDSA_OF: dict[type[_MldsaPublic], SignatureAlgorithm] = {
    mldsa.MLDSA44PublicKey: SignatureAlgorithm.MLDSA44,
    mldsa.MLDSA65PublicKey: SignatureAlgorithm.MLDSA65,
    mldsa.MLDSA87PublicKey: SignatureAlgorithm.MLDSA87,
}


class PemSigner:
    """Signs with the private key of a PEM text (PKCS #8, RFC 5958): Ed25519, ECDSA P-384 or ML-DSA.

    The library holds the key, and cleanses it when this object is dropped.  The text stays the caller's to wipe.
    """

    def __init__(self, key: _Private) -> None:
        self._private = key
        self.public_key = _public_key_of(key)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted private key.  Raises KeyRefused, whose text names nothing of the key."""
        try:
            key = load_pem_private_key(pem, None)
        except TypeError:
            raise KeyRefused("is encrypted: write it without a passphrase, readable by its owner only") from None
        except (ValueError, UnsupportedAlgorithm):
            raise KeyRefused("holds no private key in PEM (PKCS #8): give one of Ed25519, P-384 or ML-DSA") from None
        if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, ec.SECP384R1):
            raise KeyRefused(f"holds a key on the curve {key.curve.name}: give one of Ed25519, P-384 or ML-DSA")
        if not isinstance(key, _Private):
            raise KeyRefused("holds a private key of another kind: give one of Ed25519, P-384 or ML-DSA")
        return cls(key)

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; the signature is in the protocol's byte form."""
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA384())))
            return r.to_bytes(48) + s.to_bytes(48)
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"PemSigner({self.public_key.algorithm.name})"


def _public_key_of(key: _Private) -> PublicKey:
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return PublicKey(SignatureAlgorithm.ECDSA_P384, point)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return PublicKey(SignatureAlgorithm.ED25519, public.public_bytes_raw())
    algorithm = next(number for kind, number in _MLDSA_OF.items() if isinstance(public, kind))
    return PublicKey(algorithm, public.public_bytes_raw())
