"""The keys of one direction: what a traffic secret gives, and the secret that follows it (RFC 8446 §7.2, §7.3)."""

from typing import Final, NamedTuple, Self

from sottovoce.primitives import NONCE_BYTES, Aead, Cipher, Secret, cipher_with_key, nonce_number, tls13_expand


class TlsSuite(NamedTuple):
    """A cipher suite of TLS 1.3, as far as records are concerned."""

    cipher: Cipher
    key_bytes: int
    secret_bytes: int
    """As many as its hash has, which is known by that."""


SUITES: Final = {
    "TLS_AES_256_GCM_SHA384": TlsSuite(Cipher.AES_256_GCM, 32, 48),
    "TLS_CHACHA20_POLY1305_SHA256": TlsSuite(Cipher.CHACHA20_POLY1305, 32, 32),
    "TLS_AES_128_GCM_SHA256": TlsSuite(Cipher.AES_128_GCM, 16, 32),
}
"""By IANA's names.  All three have nonces of 12 bytes and tags of 16."""


class TrafficKey(NamedTuple):
    """What protects one direction, until the next change of keys."""

    secret: Secret
    """The application traffic secret, from which the next one follows."""
    aead: Aead
    iv: int
    """The write IV as a number, to xor record numbers into (RFC 8446 §5.3)."""

    def __repr__(self) -> str:
        """Show nothing of it: the IV is as secret as the key."""
        return "TrafficKey(...)"

    @classmethod
    def of(cls, suite: TlsSuite, secret: Secret) -> Self:
        """Give the key of a traffic secret, which it owns from now on (RFC 8446 §7.3)."""
        with tls13_expand(secret, "iv", NONCE_BYTES) as iv:
            return cls(secret, cipher_of(suite, secret), nonce_number(iv))


def cipher_of(suite: TlsSuite, secret: Secret) -> Aead:
    """Give the cipher of a traffic secret, keyed (RFC 8446 §7.3)."""
    with tls13_expand(secret, "key", suite.key_bytes) as key:
        return cipher_with_key(suite.cipher, key)


def following(suite: TlsSuite, secret: Secret) -> TrafficKey:
    """Give the next generation's key, and wipe this one's secret (RFC 8446 §7.2)."""
    with secret:
        return TrafficKey.of(suite, tls13_expand(secret, "traffic upd", len(secret)))
