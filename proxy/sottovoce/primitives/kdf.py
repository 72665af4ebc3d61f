"""Hashes and key derivation: SHA-384, HKDF (RFC 5869) and the protocol's labelled expansion (protocol §5).

`Extract` followed by `Expand` is done in one call wherever the intermediate value has no other use: then the pseudo
random key exists only inside the library and there is nothing of it to erase.  Every derived value is written into a
buffer of ours.
"""

import hashlib

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from sottovoce.primitives.secret import Secret, wipe_bytes

HASH_BYTES = 48
ZERO_SECRET = bytes(HASH_BYTES)
"""Stands for an absent salt or input of HKDF-SHA-384: the `0^48` of protocol §5."""

_SHA384 = hashes.SHA384()
_SHA512 = hashes.SHA512()


def sha384(*parts: bytes) -> bytes:
    """H(part ‖ part ‖ …), 48 bytes."""
    digest = hashlib.sha384()
    for part in parts:
        digest.update(part)
    return digest.digest()


def label_info(label: str, context: bytes, length_bytes: int) -> bytes:
    """Build the `info` of HL: `u16 n ‖ u8 len(L) ‖ L ‖ u8 len(ctx) ‖ ctx`, with L = "svp1 " ‖ label (protocol §5)."""
    full = b"svp1 " + label.encode("ascii")
    head = length_bytes.to_bytes(2) + len(full).to_bytes(1) + full
    return head + len(context).to_bytes(1) + context


def labelled(secret: Secret, label: str, context: bytes, length_bytes: int = HASH_BYTES) -> Secret:
    """HL(secret, label, ctx, n) of protocol §5: HKDF-Expand with SHA-384 under a labelled info."""
    out = Secret.blank(label, length_bytes)
    info = label_info(label, context, length_bytes)
    HKDFExpand(_SHA384, length_bytes, info).derive_into(secret.expose(), out.expose())
    return out


def extract_labelled(
    salt: Secret | bytes, ikm: Secret | bytes, label: str, context: bytes, length_bytes: int = HASH_BYTES
) -> Secret:
    """HL(Extract(salt, ikm), label, ctx, n) in one step; the extracted key never leaves the library."""
    out = Secret.blank(label, length_bytes)
    material = ikm.expose() if isinstance(ikm, Secret) else ikm
    # The library wants its salt as bytes: lend it a copy and overwrite that afterwards.
    lent = bytes(salt.expose()) if isinstance(salt, Secret) else salt
    try:
        HKDF(_SHA384, length_bytes, lent, label_info(label, context, length_bytes)).derive_into(material, out.expose())
    finally:
        if isinstance(salt, Secret):
            wipe_bytes(lent)
    return out


def sframe_derive(base: Secret, info: bytes, length_bytes: int, name: str) -> Secret:
    """Expand(Extract("", base), info, n) with HKDF-SHA-512, as SFrame asks for (RFC 9605 §4.4.2, §5.1)."""
    out = Secret.blank(name, length_bytes)
    HKDF(_SHA512, length_bytes, b"", info).derive_into(base.expose(), out.expose())
    return out


def mac384(key: Secret, message: bytes) -> bytes:
    """HMAC-SHA-384 over `message`, 48 bytes; the result is public."""
    mac = hmac.HMAC(key.expose(), _SHA384)
    mac.update(message)
    return mac.finalize()
