"""From the plaintext of a client leg's TLS to the voice records in it, and what may be asked of them.

Written from docs/protocol.md and RFC 6455 alone: nothing of the proxy's own parsers is used.
"""

from collections.abc import Iterable, Iterator

RUN_BYTES = 8
TAG_BYTES = 16
BUCKETS = frozenset({88, 128, 168, 248, 328, 408, 648, 968})
_SFRAME = 0x80
_BINARY, _CONTINUATION = 2, 0


def messages(direction: bytes) -> list[bytes]:
    """Take HTTP's head and the WebSocket framing off, masks too: the binary messages of one direction."""
    _, separator, frames = direction.partition(b"\r\n\r\n")
    assert separator, "no HTTP head"
    found: list[bytes] = []
    for opcode, payload in _frames(frames):
        if opcode == _BINARY:
            found.append(payload)
        elif opcode == _CONTINUATION:
            found[-1] += payload
    return found


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, start = data[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start])
        mask = b""
        if data[1] & 0x80:
            mask, start = data[start : start + 4], start + 4
        payload, opcode, data = data[start : start + length], data[0] & 0x0F, data[start + length :]
        assert len(payload) == length, "the capture ends inside a frame"
        yield opcode, bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload)) if mask else payload


def sframe_records(found: Iterable[bytes]) -> list[bytes]:
    """The records of the established session; those of the handshake begin with 00 or 01."""
    return [record for record in found if record[0] >= _SFRAME]


def plaintext_bytes(record: bytes) -> int:
    """How long the plaintext of an SFrame record is: the record without header and tag (RFC 9605 §4.3)."""
    config = record[0]
    kid = (config >> 4 & 7) + 1 if config & 0x80 else 0
    counter = (config & 7) + 1 if config & 0x08 else 0
    return len(record) - 1 - kid - counter - TAG_BYTES


def odd_lengths(records: Iterable[bytes]) -> set[int]:
    """Plaintext lengths that are none of the buckets of docs/protocol.md §9."""
    lengths = {plaintext_bytes(record) for record in records}
    return {length for length in lengths if length not in BUCKETS and not (length > 968 and length % 320 == 8)}


class Runs:
    """Every run of eight bytes of some audio, but that of eight zeros.

    Speech has silence in it, and eight zeros stand in many a thing that is no speech.
    """

    def __init__(self, audio: bytes) -> None:
        self._runs = set(_windows(audio)) - {bytes(RUN_BYTES)}

    def __len__(self) -> int:
        return len(self._runs)

    def found_in(self, records: Iterable[bytes]) -> int:
        """How many runs of the records are runs of the audio."""
        return sum(window in self._runs for record in records for window in _windows(record))


def _windows(data: bytes) -> Iterator[bytes]:
    return (data[start : start + RUN_BYTES] for start in range(len(data) - RUN_BYTES + 1))
