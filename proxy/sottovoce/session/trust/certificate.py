"""The voice certificate (protocol §6): an anchor's word that two serving keys speak for some names, for some days.

It is a list of TLVs and nothing else:  1 serial; 2 not before; 3 not after; 4 authorities; 5 classical key; 6 PQ key;
7 anchor id; 8 classical signature; 9 PQ signature.  Signed is a label, a zero byte and TLVs 1–7 as they are encoded.
Whoever holds the anchor's keys builds these bytes itself, from fields; nobody hands it a digest.
"""

import msgspec

from sottovoce.primitives import PublicKey, SignatureAlgorithm
from sottovoce.wire import MAX_AUTHORITIES_BYTES, bad_record
from sottovoce.wire.messages import Tlv, decode_tlvs, encode_tlvs, tagged_u16

LABEL = b"sottovoce.v1 voice certificate"
SERIAL_BYTES = 16
ANCHOR_ID_BYTES = 32
MAX_LIFETIME_SECONDS = 90 * 86_400
MAX_DELEGATED_LIFETIME_SECONDS = 86_400
"""A certificate for a key that lives in memory (Ed25519) lasts a day at most."""
CLOCK_TOLERANCE_SECONDS = 300

_CLASSICAL_KEYS = frozenset({SignatureAlgorithm.ECDSA_P384, SignatureAlgorithm.ED25519})
_MANDATORY = frozenset({1, 2, 3, 4, 5, 7, 8})
_OPTIONAL = frozenset({6, 9})
_TIME_BYTES = 8


class CertificateFields(msgspec.Struct, frozen=True):
    """What is signed: TLVs 1–7.  Times are Unix seconds, authorities host names or IP literals without port."""

    serial: bytes
    not_before: int
    not_after: int
    authorities: tuple[str, ...]
    classical: PublicKey
    pq: PublicKey | None
    anchor_id: bytes

    def encode(self) -> bytes:
        """TLVs 1–7."""
        names = [name.encode() for name in self.authorities]
        fields: list[Tlv] = [
            (1, self.serial),
            (2, self.not_before.to_bytes(_TIME_BYTES)),
            (3, self.not_after.to_bytes(_TIME_BYTES)),
            (4, b"".join(len(name).to_bytes(2) + name for name in names)),
            (5, self.classical.encoded),
        ]
        if self.pq is not None:
            fields.append((6, self.pq.encoded))
        return encode_tlvs([*fields, (7, self.anchor_id)])

    def signed_bytes(self) -> bytes:
        """The string that the anchor signs."""
        return LABEL + b"\x00" + self.encode()


class VoiceCertificate(msgspec.Struct, frozen=True):
    """A decoded certificate: its fields, both signatures as (algorithm number, bytes), and what was signed."""

    fields: CertificateFields
    classical_signature: tuple[int, bytes]
    pq_signature: tuple[int, bytes] | None
    signed_bytes: bytes


def encode_certificate(
    fields: CertificateFields,
    classical: tuple[SignatureAlgorithm, bytes],
    pq: tuple[SignatureAlgorithm, bytes] | None,
) -> bytes:
    """Put fields and the anchor's signatures, as (algorithm, bytes), together."""
    tail: list[Tlv] = [(8, classical[0].to_bytes(2) + classical[1])]
    if pq is not None:
        tail.append((9, pq[0].to_bytes(2) + pq[1]))
    return fields.encode() + encode_tlvs(tail)


def decode_certificate_untrusted(data: bytes) -> VoiceCertificate:
    """Decode a certificate.  Raises bad_record for anything but exactly its TLVs."""
    tlvs = dict(decode_tlvs(data))
    if not tlvs.keys() >= _MANDATORY or not tlvs.keys() <= _MANDATORY | _OPTIONAL:
        raise bad_record("a voice certificate has missing or unknown TLVs")
    if len(tlvs[1]) != SERIAL_BYTES or len(tlvs[7]) != ANCHOR_ID_BYTES:
        raise bad_record("a voice certificate's serial or anchor id has a wrong length")
    if len(tlvs[2]) != _TIME_BYTES or len(tlvs[3]) != _TIME_BYTES:
        raise bad_record("a voice certificate's dates have a wrong length")
    fields = CertificateFields(
        serial=tlvs[1],
        not_before=int.from_bytes(tlvs[2]),
        not_after=int.from_bytes(tlvs[3]),
        authorities=_decode_authorities(tlvs[4]),
        classical=_decode_key(tlvs[5], post_quantum=False),
        pq=_decode_key(tlvs[6], post_quantum=True) if 6 in tlvs else None,  # noqa: PLR2004  the tag
        anchor_id=tlvs[7],
    )
    signed = encode_tlvs([(tag, value) for tag, value in tlvs.items() if tag <= 7])  # noqa: PLR2004  the last signed tag
    return VoiceCertificate(
        fields=fields,
        classical_signature=tagged_u16(tlvs[8], "the certificate's classical signature"),
        pq_signature=tagged_u16(tlvs[9], "the certificate's PQ signature") if 9 in tlvs else None,  # noqa: PLR2004  the tag
        signed_bytes=LABEL + b"\x00" + signed,
    )


def _decode_authorities(value: bytes) -> tuple[str, ...]:
    if len(value) > MAX_AUTHORITIES_BYTES:
        raise bad_record("a voice certificate names too many authorities")
    names: list[str] = []
    offset = 0
    while offset < len(value):
        end = offset + 2 + int.from_bytes(value[offset : offset + 2])
        if end > len(value):
            raise bad_record("an authority is cut off")
        try:
            names.append(value[offset + 2 : end].decode())
        except UnicodeDecodeError:
            raise bad_record("an authority is not UTF-8") from None
        offset = end
    return tuple(names)


def _decode_key(value: bytes, *, post_quantum: bool) -> PublicKey:
    number, key = tagged_u16(value, "a certificate's key")
    try:
        algorithm = SignatureAlgorithm(number)
    except ValueError:
        raise bad_record("a certificate's key has an unknown algorithm") from None
    if algorithm.is_post_quantum is not post_quantum or not (post_quantum or algorithm in _CLASSICAL_KEYS):
        raise bad_record("a certificate's key has the wrong kind of algorithm")
    return PublicKey(algorithm, key)
