"""Cryptographic primitives: AEAD, key derivation, hybrid key agreement, signatures, and `Secret`.  Pure."""

from sottovoce.primitives.aead import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    Aead,
    Cipher,
    TagError,
    cipher_with_key,
    open_once,
    seal_once,
    split_nonce,
)
from sottovoce.primitives.entropy import Entropy
from sottovoce.primitives.errors import ApiMisuse, IllegalShare, KeyRefused, OpenFailed, SottovoceError
from sottovoce.primitives.kdf import (
    HASH_BYTES,
    ZERO_SECRET,
    extract_labelled,
    label_info,
    labelled,
    mac384,
    sframe_derive,
    sha384,
)
from sottovoce.primitives.kem import CLIENT_SHARE_BYTES, SERVER_SHARE_BYTES, Group, Kem, KeyShare, SystemKem
from sottovoce.primitives.secret import Secret, lend_secret, take_secret, wipe_bytes
from sottovoce.primitives.signatures import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    MldsaSigner,
    PemSigner,
    PublicKey,
    SignatureAlgorithm,
    Signer,
)
from sottovoce.primitives.suites import DEFAULT_SUITES, Suite

__all__ = [
    "CLIENT_SHARE_BYTES",
    "DEFAULT_SUITES",
    "HASH_BYTES",
    "KEY_BYTES",
    "NONCE_BYTES",
    "PUBLIC_KEY_BYTES",
    "SERVER_SHARE_BYTES",
    "SIGNATURE_BYTES",
    "TAG_BYTES",
    "ZERO_SECRET",
    "Aead",
    "ApiMisuse",
    "Cipher",
    "Entropy",
    "Group",
    "IllegalShare",
    "Kem",
    "KeyRefused",
    "KeyShare",
    "MldsaSigner",
    "OpenFailed",
    "PemSigner",
    "PublicKey",
    "Secret",
    "SignatureAlgorithm",
    "Signer",
    "SottovoceError",
    "Suite",
    "SystemKem",
    "TagError",
    "cipher_with_key",
    "extract_labelled",
    "label_info",
    "labelled",
    "lend_secret",
    "mac384",
    "open_once",
    "seal_once",
    "sframe_derive",
    "sha384",
    "split_nonce",
    "take_secret",
    "wipe_bytes",
]
