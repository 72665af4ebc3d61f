"""Payloads of our own frames, held against the rules for a peer's: what it would refuse is never sealed.

Everything here raises ApiMisuse, because what is wrong was handed in by our own side.
"""

from collections.abc import Callable

from sottovoce.primitives import ApiMisuse
from sottovoce.wire import MAX_COVER_BYTES, MAX_DTMF_EVENT, FrameType, WireError, frames

CALLERS_FLAGS = frames.FLAG_TALK_SPURT | frames.FLAG_END_OF_TURN
"""The flags of an audio frame that a caller may set; the timestamp's own goes with the timestamp."""
_MAX_U16 = 2**16 - 1
_MAX_U32 = 2**32 - 1


def _own(check: Callable[[bytes], object], payload: bytes) -> bytes:
    """Give `payload` if a peer would take it."""
    try:
        check(payload)
    except WireError as error:
        raise ApiMisuse(error.reason) from None
    return payload


def check_kind(kind: FrameType, *, from_client: bool, data_session: bool) -> None:
    """Refuse a frame in the wrong direction, or of the other kind of session."""
    try:
        frames.allowed_untrusted(kind, 0, from_client=from_client, data_session=data_session)
    except WireError as error:
        raise ApiMisuse(error.reason) from None


def audio(codec_bytes: bytes, flags: int, timestamp: int | None) -> bytes:
    """Flags, timestamp if there is one, codec bytes."""
    if flags & ~CALLERS_FLAGS:
        raise ApiMisuse("an audio frame has flags that are not the caller's to set")
    if timestamp is not None and not 0 <= timestamp <= _MAX_U32:
        raise ApiMisuse("a timestamp does not fit 32 bits")
    return frames.encode_audio(codec_bytes, flags, timestamp)


def dtmf(event: int, duration_milliseconds: int) -> bytes:
    """A telephone key and how long it was held."""
    if not 0 <= event <= MAX_DTMF_EVENT or not 0 <= duration_milliseconds <= _MAX_U16:
        raise ApiMisuse("a dtmf event or its duration is out of range")
    return event.to_bytes(1) + duration_milliseconds.to_bytes(2)


def ping(data: bytes) -> bytes:
    """Eight bytes that the peer gives back."""
    return _own(frames.decode_ping_untrusted, data)


def json(data: bytes) -> bytes:
    """A JSON object."""
    return _own(frames.decode_json_untrusted, data)


def mark(name: str) -> bytes:
    """A mark's name."""
    try:
        payload = name.encode()
    except UnicodeEncodeError:
        raise ApiMisuse("a mark's name is not Unicode text") from None
    return _own(frames.decode_mark_untrusted, payload)


def cover(length_bytes: int) -> bytes:
    """Filling."""
    if not 0 <= length_bytes <= MAX_COVER_BYTES:
        raise ApiMisuse("a cover frame is too long")
    return bytes(length_bytes)


def data(payload: bytes) -> bytes:
    """Opaque bytes of a data session."""
    return _own(frames.decode_data_untrusted, payload)


def code(number: int) -> bytes:
    """What a session ends with."""
    if not 0 <= number <= _MAX_U16:
        raise ApiMisuse("a code does not fit 16 bits")
    return number.to_bytes(2)
