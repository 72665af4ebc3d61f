"""Public keys as others read them, SubjectPublicKeyInfo (RFC 5280 §4.1, DER), and signatures under them.

For keys that are no part of the protocol: P-256 and P-384 (ECDSA with the hash of the same size, `r ‖ s`), Ed25519, and
RSA of 3072 bits and more (PSS with SHA-384 and 48 bytes of salt).  Verification never raises, whatever the bytes are.
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from sottovoce.primitives.errors import KeyRefused
from sottovoce.primitives.signatures import PublicKey, SignatureAlgorithm

MIN_RSA_BITS = 3072
_HASHES: dict[str, hashes.HashAlgorithm] = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384()}
_CURVES: dict[int, ec.EllipticCurve] = {65: ec.SECP256R1(), 97: ec.SECP384R1()}
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)


def ec_spki(point: bytes) -> bytes:
    """Give the key of an uncompressed point on P-256 (65 bytes) or P-384 (97).  Raises KeyRefused."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[len(point)], point)
    except (KeyError, ValueError):
        raise KeyRefused("is no point of P-256 or P-384") from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ed25519_spki(raw: bytes) -> bytes:
    """Give the key of 32 bytes.  Raises KeyRefused."""
    if not PublicKey(SignatureAlgorithm.ED25519, raw).is_valid():
        raise KeyRefused("is no key of Ed25519")
    key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def rsa_spki(modulus: int, exponent: int) -> bytes:
    """Give the key of these numbers.  Raises KeyRefused, also for one that is too short."""
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise KeyRefused("is no RSA key") from None
    if key.key_size < MIN_RSA_BITS:
        raise KeyRefused(f"is an RSA key of {key.key_size} bits, at least {MIN_RSA_BITS} are wanted")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def verify_spki(spki: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is right under a key, in the one way that keys of its kind sign here."""
    try:
        key = load_der_public_key(spki)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_to_der(key, signature), message, ec.ECDSA(_HASHES[key.curve.name]))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _PSS, hashes.SHA384())
            return key.key_size >= MIN_RSA_BITS
        elif isinstance(key, ed25519.Ed25519PublicKey):
            return PublicKey(SignatureAlgorithm.ED25519, key.public_bytes_raw()).verify(message, signature)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError):
        return False
    return True


def p384_point(spki: bytes) -> bytes:
    """Give the uncompressed point, 97 bytes, of a P-384 key.  Raises KeyRefused for whatever is none."""
    try:
        key = load_der_public_key(spki)
    except (UnsupportedAlgorithm, ValueError):
        raise KeyRefused("is no public key (SubjectPublicKeyInfo, DER)") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyRefused("is no P-384 key")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _to_der(key: ec.EllipticCurvePublicKey, signature: bytes) -> bytes:
    """Turn `r ‖ s` into the DER that the library reads.  Raises ValueError unless it is as long as the curve wants."""
    half = (key.key_size + 7) // 8
    if len(signature) != 2 * half:
        raise ValueError("a signature has the length of two coordinates")
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
