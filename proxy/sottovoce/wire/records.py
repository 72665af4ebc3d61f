"""Handshake records: what the first byte of a record decides (protocol §2).

| first byte | record                                                       |
|------------|--------------------------------------------------------------|
| 0x00       | plain handshake: exactly one message                         |
| 0x01       | sealed handshake: `01 ‖ len u16 ‖ ciphertext`, a whole flight |
| 0x80–0xFF  | an SFrame object: `wire.sframe`                              |
"""

from sottovoce.wire.errors import bad_record, too_large
from sottovoce.wire.limits import MAX_MESSAGE_BYTES
from sottovoce.wire.messages.tlv import split_messages

PLAIN = 0x00
SEALED = 0x01
FIRST_SFRAME = 0x80
SEALED_HEADER_BYTES = 3


def encode_plain(message: bytes) -> bytes:
    """Put one message into a plain handshake record."""
    return b"\x00" + message


def decode_plain_untrusted(record: bytes) -> tuple[int, bytes]:
    """Take the (type, whole message) out of a plain handshake record.  Raises WireError."""
    if len(record) > 1 + MAX_MESSAGE_BYTES:
        raise too_large("a plain handshake record is above its limit")
    if record[:1] != b"\x00":
        raise bad_record("a plain handshake record was due")
    messages = split_messages(record[1:])
    if len(messages) != 1:
        raise bad_record("a plain handshake record holds more than one message")
    return messages[0]


def sealed_header(ciphertext_bytes: int) -> bytes:
    """The header of a sealed handshake record, which is also its AAD.  The caller stays below 65 536 bytes."""
    return b"\x01" + ciphertext_bytes.to_bytes(2)


def decode_sealed_untrusted(record: bytes) -> tuple[bytes, bytes]:
    """Split a sealed handshake record into (header, ciphertext).  Raises WireError."""
    if record[:1] != b"\x01":
        raise bad_record("a sealed handshake record was due")
    if len(record) < SEALED_HEADER_BYTES or len(record) - SEALED_HEADER_BYTES != int.from_bytes(record[1:3]):
        raise bad_record("a sealed handshake record has a wrong length")
    return record[:SEALED_HEADER_BYTES], record[SEALED_HEADER_BYTES:]
