"""TLVs and the handshake message header (protocol §2).

`message = type u8 ‖ length u24 ‖ body`; a body is `tag u8 ‖ length u16 ‖ value`, tags strictly ascending.  An unknown
tag below 0x80 is fatal, one from 0x80 on is skipped.
"""

from collections.abc import Iterable

from sottovoce.wire.errors import bad_record, too_large
from sottovoce.wire.limits import MAX_MESSAGE_BYTES

MESSAGE_HEADER_BYTES = 4
FIRST_SKIPPABLE_TAG = 0x80
_TLV_HEADER_BYTES = 3

Tlv = tuple[int, bytes]


def encode_tlvs(fields: Iterable[Tlv]) -> bytes:
    """Encode (tag, value) pairs, which come in ascending order."""
    return b"".join(_pieces(fields))


def _pieces(fields: Iterable[Tlv]) -> list[bytes]:
    """The pieces to join, values as they are: a value that is secret is copied once, into the result."""
    pieces: list[bytes] = []
    for tag, value in fields:
        pieces += (tag.to_bytes(1) + len(value).to_bytes(2), value)
    return pieces


def decode_tlvs(body: bytes) -> list[Tlv]:
    """Split a body into (tag, value) pairs.  Raises bad_record unless the whole body is ascending TLVs."""
    fields: list[Tlv] = []
    offset, last_tag = 0, -1
    while offset < len(body):
        if len(body) - offset < _TLV_HEADER_BYTES:
            raise bad_record("a TLV header is cut off")
        tag = body[offset]
        length = int.from_bytes(body[offset + 1 : offset + 3])
        offset += _TLV_HEADER_BYTES
        if tag <= last_tag:
            raise bad_record("TLV tags are not strictly ascending")
        if len(body) - offset < length:
            raise bad_record("a TLV value is cut off")
        fields.append((tag, body[offset : offset + length]))
        offset += length
        last_tag = tag
    return fields


def known_tlvs(body: bytes, *, mandatory: frozenset[int], optional: frozenset[int] = frozenset()) -> dict[int, bytes]:
    """Decode a body whose critical tags are known.  Raises bad_record for a missing or an unknown critical one."""
    fields: dict[int, bytes] = {}
    for tag, value in decode_tlvs(body):
        if tag in mandatory or tag in optional:
            fields[tag] = value
        elif tag < FIRST_SKIPPABLE_TAG:
            raise bad_record("an unknown TLV below 0x80")
    if not mandatory <= fields.keys():
        raise bad_record("a mandatory TLV is missing")
    return fields


def encode_message(message_type: int, fields: Iterable[Tlv]) -> bytes:
    """Encode one whole handshake message."""
    pieces = _pieces(fields)
    return b"".join((message_type.to_bytes(1) + sum(map(len, pieces)).to_bytes(3), *pieces))


def split_messages(data: bytes) -> list[tuple[int, bytes]]:
    """Split back-to-back messages into (type, whole message bytes).

    Raises too_large for a message above its limit, bad_record for trailing or missing bytes and for nothing at all.
    """
    messages: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < MESSAGE_HEADER_BYTES:
            raise bad_record("a message header is cut off")
        length = MESSAGE_HEADER_BYTES + int.from_bytes(data[offset + 1 : offset + 4])
        if length > MAX_MESSAGE_BYTES:
            raise too_large("a handshake message is above its limit")
        if len(data) - offset < length:
            raise bad_record("a message body is cut off")
        messages.append((data[offset], data[offset : offset + length]))
        offset += length
    if not messages:
        raise bad_record("no message")
    return messages


def body_of(message: bytes) -> bytes:
    """The body of a whole message."""
    return message[MESSAGE_HEADER_BYTES:]


def fixed(value: bytes, length: int, what: str) -> bytes:
    """Give `value` if it has exactly `length` bytes.  Raises bad_record."""
    if len(value) != length:
        raise bad_record(f"{what} has a wrong length")
    return value


def unsigned(value: bytes, length: int, what: str) -> int:
    """Read an unsigned big-endian integer of exactly `length` bytes.  Raises bad_record."""
    return int.from_bytes(fixed(value, length, what))


def u16_list(value: bytes, what: str) -> tuple[int, ...]:
    """Read a list of u16.  Raises bad_record for half an element."""
    if len(value) % 2:
        raise bad_record(f"{what} has a wrong length")
    return tuple(int.from_bytes(value[i : i + 2]) for i in range(0, len(value), 2))


def tagged_u16(value: bytes, what: str) -> tuple[int, bytes]:
    """Read `number u16 ‖ rest`: a group and its share, or an algorithm and its signature.  Raises bad_record."""
    if len(value) < 2:  # noqa: PLR2004  a u16
        raise bad_record(f"{what} is cut off")
    return int.from_bytes(value[:2]), value[2:]
