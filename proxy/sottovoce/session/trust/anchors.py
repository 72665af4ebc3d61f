"""Anchors: the keys a client pins, and the file an operator hands out (protocol §6).

The file is JSON: `{"anchors": [{"authorities": […], "classical": {"alg": …, "key": base64}, "pq": {…}}]}`; a list, so
that anchors can overlap while one is replaced.  `verify_certificate` is the client's whole judgement of a voice
certificate; it gives the reason of a refusal for people, the peer hears `auth_failed` only.
"""

import base64
import hashlib
from collections.abc import Iterable

import msgspec

from sottovoce.primitives import PublicKey, SignatureAlgorithm, SottovoceError, one_line
from sottovoce.session.trust.authority import matches_any, overlaps
from sottovoce.session.trust.certificate import (
    CLOCK_TOLERANCE_SECONDS,
    MAX_DELEGATED_LIFETIME_SECONDS,
    MAX_LIFETIME_SECONDS,
    VoiceCertificate,
)

_NAMES = {
    "ecdsa_secp384r1_sha384": SignatureAlgorithm.ECDSA_P384,
    "mldsa65": SignatureAlgorithm.MLDSA65,
    "mldsa87": SignatureAlgorithm.MLDSA87,
}
_NAMES_SHOWN, _NAMES_SHOWN_CHARACTERS = 4, 200
_ALGORITHM_NAMES = {algorithm: name for name, algorithm in _NAMES.items()}


class AnchorFileInvalid(SottovoceError):
    """An anchor file cannot be used; the text names the entry and the remedy."""


class CertificateRefused(SottovoceError):
    """A voice certificate does not convince this client.  The text is for people, not for the peer."""


class Anchor(msgspec.Struct, frozen=True):
    """A pinned identity: names, a P-384 key and, optionally, an ML-DSA one."""

    authorities: tuple[str, ...]
    classical: PublicKey
    pq: PublicKey | None = None

    @property
    def anchor_id(self) -> bytes:
        """SHA-256 over both keys with their algorithm numbers, 32 bytes."""
        return anchor_id(self.classical, self.pq)


def anchor_id(classical: PublicKey, pq: PublicKey | None) -> bytes:
    """SHA-256(classical alg ‖ key ‖ PQ alg ‖ key, the last two if present), 32 bytes."""
    return hashlib.sha256(classical.encoded + (pq.encoded if pq else b"")).digest()


class _KeyEntry(msgspec.Struct, frozen=True):
    alg: str
    key: str


class _AnchorEntry(msgspec.Struct, frozen=True):
    authorities: tuple[str, ...]
    classical: _KeyEntry
    pq: _KeyEntry | None = None


class _AnchorFile(msgspec.Struct, frozen=True):
    anchors: tuple[_AnchorEntry, ...]


def parse_anchor_file(data: bytes) -> tuple[Anchor, ...]:
    """Read an anchor file.  Raises AnchorFileInvalid; unknown members are ignored."""
    try:
        entries = msgspec.json.decode(data, type=_AnchorFile).anchors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnchorFileInvalid(f"not an anchor file ({error}); ask the operator for anchor.json again") from None
    anchors = tuple(_read_entry(entry, f"anchors[{index}]") for index, entry in enumerate(entries))
    if not anchors:
        raise AnchorFileInvalid("it holds no anchor; ask the operator for anchor.json again")
    check_anchors(anchors)
    return anchors


def check_anchors(anchors: Iterable[Anchor]) -> None:
    """Refuse duplicates, and a name that has both an anchor with a PQ key and one without (it would be a downgrade)."""
    seen: list[Anchor] = []
    for anchor in anchors:
        for other in seen:
            if anchor.anchor_id == other.anchor_id:
                raise AnchorFileInvalid("it holds an anchor twice; remove one of them")
            shared = [a for a in anchor.authorities for b in other.authorities if overlaps(a, b)]
            if shared and (anchor.pq is None) is not (other.pq is None):
                raise AnchorFileInvalid(
                    f"{one_line(shared[0])} has an anchor with a PQ key and one without; remove the one without"
                )
        seen.append(anchor)


def _read_entry(entry: _AnchorEntry, where: str) -> Anchor:
    if not entry.authorities:
        raise AnchorFileInvalid(f"{where}.authorities is empty; name the hosts this anchor stands for")
    classical = _read_key(entry.classical, f"{where}.classical")
    pq = _read_key(entry.pq, f"{where}.pq") if entry.pq else None
    if classical.algorithm.is_post_quantum or (pq and not pq.algorithm.is_post_quantum):
        raise AnchorFileInvalid(f"{where}: classical must be ecdsa_secp384r1_sha384 and pq mldsa65 or mldsa87")
    return Anchor(entry.authorities, classical, pq)


def _read_key(entry: _KeyEntry, where: str) -> PublicKey:
    algorithm = _NAMES.get(entry.alg)
    if algorithm is None:
        raise AnchorFileInvalid(f"{where}.alg is {one_line(entry.alg)!r}; known are {', '.join(_NAMES)}")
    try:
        decoded = base64.b64decode(entry.key, validate=True)
    except ValueError:
        decoded = b""
    key = PublicKey(algorithm, decoded)
    # The library takes more padding than there should be, and any bits where zeros should be.
    if base64.b64encode(decoded) != entry.key.encode() or not key.is_valid():
        raise AnchorFileInvalid(f"{where}.key is not the base64 of a {entry.alg} public key")
    return key


def format_anchor_file(anchors: Iterable[Anchor]) -> bytes:
    """Write an anchor file, indented, with a newline at its end."""
    entries = tuple(
        _AnchorEntry(a.authorities, _write_key(a.classical), _write_key(a.pq) if a.pq else None) for a in anchors
    )
    plain = msgspec.to_builtins(_AnchorFile(entries))
    for entry in plain["anchors"]:
        if entry["pq"] is None:
            del entry["pq"]
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def _write_key(key: PublicKey) -> _KeyEntry:
    return _KeyEntry(_ALGORITHM_NAMES[key.algorithm], base64.b64encode(key.key).decode())


def verify_certificate(certificate: VoiceCertificate, anchors: Iterable[Anchor], host: str, wall: float) -> Anchor:
    """Judge a voice certificate for `host` at Unix time `wall`; gives its anchor.  Raises CertificateRefused."""
    fields = certificate.fields
    anchor = next((a for a in anchors if a.anchor_id == fields.anchor_id), None)
    if anchor is None:
        raise CertificateRefused(
            f"it is signed by anchor {fields.anchor_id.hex()[:16]}, which is not in the anchor file"
        )
    if not matches_any(host, anchor.authorities):
        raise CertificateRefused(f"its anchor does not stand for {host}")
    if not matches_any(host, fields.authorities):
        # Nobody has vouched for these names yet: they are shown escaped, and not too many.
        names = ", ".join(repr(name) for name in fields.authorities[:_NAMES_SHOWN])
        raise CertificateRefused(f"it does not name {host} but {names[:_NAMES_SHOWN_CHARACTERS]}")
    check_dates(certificate, wall)
    _check_signatures(certificate, anchor)
    return anchor


def check_dates(certificate: VoiceCertificate, wall: float) -> None:
    """Check that a certificate is valid at `wall` and not made for too long.  Raises CertificateRefused."""
    fields = certificate.fields
    delegated = fields.classical.algorithm is SignatureAlgorithm.ED25519
    longest = MAX_DELEGATED_LIFETIME_SECONDS if delegated else MAX_LIFETIME_SECONDS
    if not 0 <= fields.not_after - fields.not_before <= longest:
        raise CertificateRefused(f"it is made for more than {longest // 86_400} days, or ends before it begins")
    if wall < fields.not_before - CLOCK_TOLERANCE_SECONDS:
        raise CertificateRefused("it is not valid yet; check this machine's clock")
    if wall > fields.not_after + CLOCK_TOLERANCE_SECONDS:
        raise CertificateRefused("it has expired; check this machine's clock, then tell the operator")


def _check_signatures(certificate: VoiceCertificate, anchor: Anchor) -> None:
    fields, signed = certificate.fields, certificate.signed_bytes
    if (anchor.pq is None) is not (certificate.pq_signature is None):
        raise CertificateRefused("its PQ signature is missing, or there although its anchor has no PQ key")
    if anchor.pq is not None and fields.pq is None:
        raise CertificateRefused("it has no PQ key although its anchor has one")
    if not fields.classical.is_valid() or (fields.pq is not None and not fields.pq.is_valid()):
        raise CertificateRefused("one of its keys is not a valid key")
    if not signature_holds(anchor.classical, certificate.classical_signature, signed):
        raise CertificateRefused("its anchor's classical signature is wrong")
    if anchor.pq and certificate.pq_signature and not signature_holds(anchor.pq, certificate.pq_signature, signed):
        raise CertificateRefused("its anchor's PQ signature is wrong")


def signature_holds(key: PublicKey, signature: tuple[int, bytes], message: bytes) -> bool:
    """Whether a signature, as (algorithm number, bytes), is of the key's algorithm and right."""
    return signature[0] == key.algorithm and key.verify(message, signature[1])
