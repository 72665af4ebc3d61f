"""The kinds of keys that a token may hold beside its own, and what each is good for.  Pure.

A key has one kind and one use; the kind says the mechanism, so nobody chooses one per call.  Names are those of the
standards.
"""

import re
from enum import Enum, StrEnum

import msgspec

from sottovoce.hsm.errors import OperationRefused

KEY_PREFIX = "key/"
_LABEL = re.compile(r"key/[a-z0-9][a-z0-9._-]{0,63}")


def is_key_label(label: str) -> bool:
    """Whether a label is one of these keys', and so of none of the token's own."""
    return _LABEL.fullmatch(label) is not None


def check_label(label: str) -> None:
    """See that a label is one of these keys'.  Raises OperationRefused."""
    if not is_key_label(label):
        raise OperationRefused(f"a key's label is {KEY_PREFIX}… of up to 64 small letters, digits and . _ -")


class KeyUse(Enum):
    """What a key is for; no key is for two."""

    SIGN = "sign and verify"
    AUTHENTICATE = "make and check authentication codes"
    SEAL = "encrypt and decrypt"
    WRAP = "wrap and unwrap keys"
    AGREE = "derive a shared secret"


class KeyKind(StrEnum):
    """A key's algorithm."""

    ECDSA_P256 = "ecdsa-p256-sha256"
    """FIPS 186-5; signatures are r ‖ s."""
    ECDSA_P384 = "ecdsa-p384-sha384"
    ED25519 = "ed25519"
    """RFC 8032."""
    RSA_PSS_3072 = "rsa-pss-3072-sha384"
    """RFC 8017 §8.1 with SHA-384 in both places and 48 bytes of salt."""
    RSA_PSS_4096 = "rsa-pss-4096-sha384"
    HMAC_SHA384 = "hmac-sha384"
    AES_256_GCM = "aes-256-gcm"
    """SP 800-38D with nonces of 96 random bits, hence at most 2^32 of them under one key (§8.3)."""
    AES_256_WRAP = "aes-256-wrap"
    """AES-KW and AES-KWP, RFC 3394 and 5649."""
    ECDH_P384 = "ecdh-p384"
    """SP 800-56A §5.7.1.2; what is derived is the bare x-coordinate."""

    @property
    def use(self) -> KeyUse:
        """What keys of this kind are for."""
        return _USES[self]

    @property
    def is_secret(self) -> bool:
        """Whether it has one half, a secret one."""
        return self.use in {KeyUse.AUTHENTICATE, KeyUse.SEAL, KeyUse.WRAP}

    @property
    def value_bytes(self) -> int:
        """How long a secret key is; 0 for a pair."""
        return _VALUE_BYTES.get(self, 0)


_USES = {
    KeyKind.ECDSA_P256: KeyUse.SIGN,
    KeyKind.ECDSA_P384: KeyUse.SIGN,
    KeyKind.ED25519: KeyUse.SIGN,
    KeyKind.RSA_PSS_3072: KeyUse.SIGN,
    KeyKind.RSA_PSS_4096: KeyUse.SIGN,
    KeyKind.HMAC_SHA384: KeyUse.AUTHENTICATE,
    KeyKind.AES_256_GCM: KeyUse.SEAL,
    KeyKind.AES_256_WRAP: KeyUse.WRAP,
    KeyKind.ECDH_P384: KeyUse.AGREE,
}
_VALUE_BYTES = {KeyKind.HMAC_SHA384: 48, KeyKind.AES_256_GCM: 32, KeyKind.AES_256_WRAP: 32}


class WrapMechanism(StrEnum):
    """How a key is wrapped under another."""

    AES_KW = "aes-kw"
    AES_KWP = "aes-kwp"


class KeyFacts(msgspec.Struct, frozen=True):
    """What may be known of a key; `public` is the public half of a pair (SubjectPublicKeyInfo, DER), or empty."""

    label: str
    kind: KeyKind
    public: bytes = b""
    is_extractable: bool = False
    """Whether it may be wrapped under another."""


class NewKey(msgspec.Struct, frozen=True):
    """What a key is to be."""

    label: str
    kind: KeyKind
    is_extractable: bool = False
    """Whether it may be wrapped under another; for secret keys only."""

    def check(self) -> None:
        """See that there may be such a key.  Raises OperationRefused."""
        check_label(self.label)
        if self.is_extractable and not self.kind.is_secret:
            raise OperationRefused(f"a key of {self.kind} does not leave its token: each has one of its own")


class WrappedUnder(msgspec.Struct, frozen=True):
    """A key, wrapped under another, which is known from elsewhere."""

    mechanism: WrapMechanism
    wrapped: bytes


class TokenHealth(msgspec.Struct, frozen=True):
    """A token that answers.  Names are as the token gives them."""

    label: str
    manufacturer: str
    model: str
    serial: str
    library: str
    kinds: tuple[KeyKind, ...]
    """Kinds of keys that it has the mechanisms for."""
    wrapping: tuple[WrapMechanism, ...]
    """Ways of wrapping that gave a known answer."""
