"""AEAD ciphers: AES-256-GCM and ChaCha20-Poly1305, 32-byte keys, 12-byte nonces, 16-byte tags; AES-128-GCM for TLS.

`cipher_with_key` gives the library's own object, because a wrapper's call would cost as much as the encryption of a
voice frame.  The library copies the key into OpenSSL, which cleanses it when the object is freed: drop the object and
the key is gone.
"""

from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from sottovoce.primitives.errors import OpenFailed
from sottovoce.primitives.secret import Secret

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

Aead = AESGCM | ChaCha20Poly1305
"""A keyed cipher: `encrypt(nonce, data, aad)` and `decrypt(nonce, data, aad)`."""

TagError = InvalidTag
"""What a keyed cipher's `decrypt` raises when the tag is wrong."""


class Cipher(Enum):
    """The two ciphers of the protocol's suites (protocol §3), and the third of TLS 1.3 (RFC 8446 §B.4)."""

    AES_256_GCM = "AES-256-GCM"
    CHACHA20_POLY1305 = "ChaCha20-Poly1305"
    AES_128_GCM = "AES-128-GCM"
    """With keys of 16 bytes; of TLS alone."""


def cipher_with_key(cipher: Cipher, key: Secret) -> Aead:
    """Key a cipher.  The caller wipes `key`; the object holds its own copy until it is dropped."""
    if cipher is Cipher.CHACHA20_POLY1305:
        return ChaCha20Poly1305(key.expose())
    return AESGCM(key.expose())


def split_nonce(salt: Secret) -> tuple[bytes, int]:
    """Give all but the last two bytes of a nonce salt, and those two as a number, for counters below 65 536."""
    with memoryview(salt.expose()) as view:
        return bytes(view[:-2]), int.from_bytes(view[-2:])


def nonce_number(salt: Secret) -> int:
    """Give a nonce salt as a number, for counters of any length."""
    return int.from_bytes(salt.expose())


def seal_once(cipher: Cipher, key: Secret, nonce: Secret, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt one record under a key that is used for nothing else; gives ciphertext ‖ tag."""
    return cipher_with_key(cipher, key).encrypt(nonce.expose(), plaintext, aad)


def open_once(cipher: Cipher, key: Secret, nonce: Secret, ciphertext: bytes, aad: bytes) -> bytes:
    """Decrypt one record.  Raises OpenFailed when it does not verify."""
    try:
        return cipher_with_key(cipher, key).decrypt(nonce.expose(), ciphertext, aad)
    except (InvalidTag, ValueError) as error:  # ValueError: shorter than a tag
        raise OpenFailed("the record does not open") from error
