"""Records on the control stream of WebTransport: each is preceded by its length, a u32 (protocol §1).

What a WebSocket's messages do for records, `StreamReader` does on a bare stream of bytes.
"""

from sottovoce.wire.errors import too_large
from sottovoce.wire.limits import MAX_TRANSPORT_MESSAGE_BYTES

_LENGTH_BYTES = 4


def encode_stream_record(record: bytes) -> bytes:
    """Put a record's length before it."""
    return len(record).to_bytes(_LENGTH_BYTES) + record


class StreamReader:
    """Takes records out of the bytes of a stream, however they are cut."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        """Begin at the start of the stream."""
        self._held = bytearray()

    def receive_untrusted(self, data: bytes) -> list[bytes]:
        """Give the records that are whole.  Raises too_large for a length that no record has; the stream is over then.

        Never holds more than one record and what `data` brought.
        """
        held = self._held
        held += data
        records: list[bytes] = []
        start = 0
        while len(held) - start >= _LENGTH_BYTES:
            length = int.from_bytes(held[start : start + _LENGTH_BYTES])
            if length > MAX_TRANSPORT_MESSAGE_BYTES:
                raise too_large("a record on the control stream is above the limit")
            end = start + _LENGTH_BYTES + length
            if len(held) < end:
                break
            records.append(bytes(held[start + _LENGTH_BYTES : end]))
            start = end
        del held[:start]
        return records

    @property
    def is_between_records(self) -> bool:
        """Whether the stream may end here: nothing of a record is held."""
        return not self._held
