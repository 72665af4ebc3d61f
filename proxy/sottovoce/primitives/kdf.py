"""Hashes and key derivation: SHA-384, HKDF (RFC 5869), the labelled expansions of the protocol (§5) and of TLS 1.3.

HKDF is put together from the library's HMAC, one block at a time: every block, and every extracted key, is a `bytes` of
ours that is overwritten as soon as it was used, and every derived value is written into a buffer of ours.
"""

import hashlib

from cryptography.hazmat.primitives import hashes, hmac

from sottovoce.primitives.secret import Secret, wipe_bytes

HASH_BYTES = 48
ZERO_SECRET = bytes(HASH_BYTES)
"""Stands for an absent salt or input of HKDF-SHA-384: the `0^48` of protocol §5."""

_SHA256 = hashes.SHA256()
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
    return _expand(_SHA384, secret, label_info(label, context, length_bytes), length_bytes, label)


def extract_labelled(
    salt: Secret | bytes, ikm: Secret | bytes, label: str, context: bytes, length_bytes: int = HASH_BYTES
) -> Secret:
    """HL(Extract(salt, ikm), label, ctx, n) in one step; the extracted key is wiped."""
    info = label_info(label, context, length_bytes)
    return _extract_and_expand(_SHA384, salt, ikm, info, length_bytes, label)


def sframe_derive(base: Secret, info: bytes, length_bytes: int, name: str) -> Secret:
    """Expand(Extract("", base), info, n) with HKDF-SHA-512, as SFrame asks for (RFC 9605 §4.4.2, §5.1)."""
    return _extract_and_expand(_SHA512, b"", base, info, length_bytes, name)


def tls13_expand(secret: Secret, label: str, length_bytes: int) -> Secret:
    """HKDF-Expand-Label of TLS 1.3 without context (RFC 8446 §7.1): with SHA-384 if the secret has 48 bytes.

    A secret of 32 bytes means SHA-256: a traffic secret is as long as the suite's hash.
    """
    full = b"tls13 " + label.encode("ascii")
    info = length_bytes.to_bytes(2) + len(full).to_bytes(1) + full + b"\0"
    return _expand(_SHA384 if len(secret) == HASH_BYTES else _SHA256, secret, info, length_bytes, label)


def _extract_and_expand(  # noqa: PLR0913, PLR0917  what HKDF takes
    algorithm: hashes.HashAlgorithm,
    salt: Secret | bytes,
    ikm: Secret | bytes,
    info: bytes,
    length_bytes: int,
    name: str,
) -> Secret:
    extracted = _mac(algorithm, salt, ikm)
    try:
        return _expand(algorithm, extracted, info, length_bytes, name)
    finally:
        wipe_bytes(extracted)


def _expand(algorithm: hashes.HashAlgorithm, key: Secret | bytes, info: bytes, length_bytes: int, name: str) -> Secret:
    """HKDF-Expand (RFC 5869 §2.3).  Not the library's: that leaves each block behind in an object that it frees."""
    out, number = Secret.blank(name, length_bytes), 1
    rest, block = memoryview(out.expose()), _mac(algorithm, key, info + b"\x01")
    while len(rest) > len(block):
        rest[: len(block)] = block
        rest, before, number = rest[len(block) :], block, number + 1
        block = _mac(algorithm, key, before, info, number.to_bytes(1))
        wipe_bytes(before)
    rest[:] = memoryview(block)[: len(rest)]
    wipe_bytes(block)
    return out


def _mac(algorithm: hashes.HashAlgorithm, key: Secret | bytes, *parts: Secret | bytes) -> bytes:
    """HMAC over all parts; the caller wipes what it gets.

    What is secret is exposed to the library alone: in a variable it would stand in whatever shows a fault's frames.
    """
    mac = hmac.HMAC(_exposed(key), algorithm)
    for part in parts:
        mac.update(_exposed(part))
    return mac.finalize()


def _exposed(material: Secret | bytes) -> bytes | bytearray:
    return material.expose() if isinstance(material, Secret) else material


def mac384(key: Secret, message: bytes) -> bytes:
    """HMAC-SHA-384 over `message`, 48 bytes; the result is public."""
    return _mac(_SHA384, key, message)
