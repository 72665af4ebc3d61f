"""The SFrame header (RFC 9605 §4.3): `X K K K Y C C C`, then KID and CTR where they do not fit.

A KID or CTR below 8 stands in the first byte; a larger one follows in as few bytes as it needs.  A header that is
longer than it must be is another name for the same frame, so it is refused.
"""

from sottovoce.wire.errors import bad_record

_INLINE = 8
"""Values below this stand in the config byte itself."""


def encode_header(kid: int, counter: int) -> bytes:
    """Encode the shortest header for `kid` and `counter`, each below 2^64."""
    config, kid_bytes = _encode_field(kid)
    low, counter_bytes = _encode_field(counter)
    return (config << 4 | low).to_bytes(1) + kid_bytes + counter_bytes


def _encode_field(value: int) -> tuple[int, bytes]:
    if value < _INLINE:
        return value, b""
    length = (value.bit_length() + 7) // 8
    return _INLINE | length - 1, value.to_bytes(length)


def decode_header_untrusted(record: bytes) -> tuple[int, int, int]:
    """Read (KID, CTR, header length).  Raises bad_record when it is cut off or not minimal."""
    if not record:
        raise bad_record("an empty record")
    config = record[0]
    kid, offset = _decode_field(record, config >> 4, 1)
    counter, offset = _decode_field(record, config & 0x0F, offset)
    return kid, counter, offset


def _decode_field(record: bytes, nibble: int, offset: int) -> tuple[int, int]:
    if nibble < _INLINE:
        return nibble, offset
    end = offset + (nibble & 0x07) + 1
    if len(record) < end:
        raise bad_record("an SFrame header is cut off")
    value = int.from_bytes(record[offset:end])
    if value < _INLINE or record[offset] == 0:
        raise bad_record("an SFrame header is not minimal")
    return value, end
