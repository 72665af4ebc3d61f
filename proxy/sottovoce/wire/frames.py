"""Inside a sealed frame (protocol §9): `payload ‖ type u8 ‖ 0x00*`.

Only layout and per-type syntax live here; who may send what, and in which kind of session, is `allowed_untrusted`'s
table.  Audio passes by `session`'s fast path; `decode_audio_untrusted` is its syntax.
"""

from sottovoce.wire.codecs import Codec
from sottovoce.wire.errors import bad_record, too_large
from sottovoce.wire.json import is_json_object
from sottovoce.wire.limits import (
    MAX_DATA_BYTES,
    MAX_DTMF_EVENT,
    MAX_JSON_BYTES,
    MAX_MARK_BYTES,
    MAX_SMALL_RECORD_BYTES,
    PING_BYTES,
)
from sottovoce.wire.types import FIRST_IGNORED_FRAME_TYPE, FrameType

FLAG_TIMESTAMP = 0x10
FLAG_TALK_SPURT = 0x20
FLAG_END_OF_TURN = 0x40
UNKNOWN_FLAGS = 0xFF ^ (FLAG_TIMESTAMP | FLAG_TALK_SPURT | FLAG_END_OF_TURN)
TIMESTAMP_BYTES = 4

_BUCKETS = (88, 128, 168, 248, 328, 408, 648, 968)
_BUCKET_STEP = 320
_BUCKET_EXTRA = 8
PADDING_NONE = 0
PADDING_BUCKETS = 1
PADDING_CONSTANT = 2
_CONSTANT_OPUS_BYTES = 408
_CONSTANT_EXTRA = 8

LARGE_TYPES = frozenset({FrameType.HANDSHAKE, FrameType.CLOSE, FrameType.JSON, FrameType.DATA})
"""Types whose records may be 16 384 bytes; all others 8 192 (§2)."""
DATAGRAM_TYPES = frozenset({FrameType.AUDIO, FrameType.PING, FrameType.PONG, FrameType.COVER})
"""The types that a lossy carrier has; all others need the control stream (§1)."""
SLOT_TYPES = frozenset(
    {
        FrameType.AUDIO, FrameType.DTMF, FrameType.PING, FrameType.PONG,
        FrameType.COVER, FrameType.MARK, FrameType.CLEAR, FrameType.MUTE,
    }
)  # fmt: skip
"""The types that wait for a slot under padding class 2 (§9)."""
_AUDIO_SESSION_TYPES = frozenset({FrameType.AUDIO, FrameType.DTMF, FrameType.MARK, FrameType.CLEAR, FrameType.MUTE})
_SERVER_ONLY = frozenset({FrameType.CLEAR})
_CLIENT_ONLY = frozenset({FrameType.MUTE})
METERED_TYPES = frozenset(
    {FrameType.DTMF, FrameType.PING, FrameType.JSON, FrameType.MARK, FrameType.CLEAR, FrameType.MUTE}
)
"""Types that draw on the token bucket of §9 (a client's mark is an echo and does not)."""


def padded_bytes(length: int) -> int:
    """The bucket of padding class 1 for a plaintext of `length` bytes, type byte included."""
    for bucket in _BUCKETS:
        if length <= bucket:
            return bucket
    steps = -(-(length - _BUCKET_EXTRA) // _BUCKET_STEP)
    return steps * _BUCKET_STEP + _BUCKET_EXTRA


def constant_bytes(codec: Codec, frame_milliseconds: int) -> int:
    """The one audio size of padding class 2: a plaintext's bytes, type byte included."""
    if codec in {Codec.OPUS_48K_MONO, Codec.OPUS_48K_STEREO}:
        return _CONSTANT_OPUS_BYTES
    return codec.frame_bytes(frame_milliseconds) + _CONSTANT_EXTRA


def encode_constant(frame_type: int, payload: bytes, plaintext_bytes: int) -> bytes:
    """Build a plaintext of exactly so many bytes; the caller has seen to it that the payload fits."""
    return (payload + frame_type.to_bytes(1)).ljust(plaintext_bytes, b"\0")


def encode_plaintext(frame_type: int, payload: bytes, padding: int, limit: int) -> bytes:
    """Build a plaintext of at most `limit` bytes: payload, type, zeros up to the bucket of the padding class."""
    length = len(payload) + 1
    target = length if padding == PADDING_NONE else min(padded_bytes(length), limit)
    return (payload + frame_type.to_bytes(1)).ljust(target, b"\0")


def split_plaintext_untrusted(plaintext: bytes) -> tuple[int, bytes]:
    """Take (type, payload) out of a plaintext.  Raises bad_record for one of zeros only."""
    stripped = plaintext.rstrip(b"\0")
    if not stripped:
        raise bad_record("a frame of padding only")
    return stripped[-1], stripped[:-1]


def allowed_untrusted(
    frame_type: int, record_bytes: int, *, from_client: bool, data_session: bool, ordered: bool = True
) -> FrameType | None:
    """Check that a frame of this type may come now.  None: ignore it.  Raises WireError."""
    if frame_type >= FIRST_IGNORED_FRAME_TYPE:
        known = None
    else:
        try:
            known = FrameType(frame_type)
        except ValueError:
            raise bad_record("an unknown frame type below 0x80") from None
    if known not in LARGE_TYPES and record_bytes > MAX_SMALL_RECORD_BYTES:
        raise too_large("a frame is above the limit of its type")
    if known in (_SERVER_ONLY if from_client else _CLIENT_ONLY):
        raise bad_record("a frame in the wrong direction")
    if known in _AUDIO_SESSION_TYPES if data_session else known is FrameType.DATA:
        raise bad_record("a frame of the other kind of session")
    if not ordered and known is not None and known not in DATAGRAM_TYPES:
        raise bad_record("a frame that needs the control stream")
    return known


def decode_audio_untrusted(payload: bytes) -> tuple[int, int | None, bytes]:
    """Split an audio payload into (flags, timestamp or None, codec bytes).  Raises bad_record.

    The timestamp's own flag is not among the flags: it is there when the timestamp is.
    """
    if not payload or payload[0] & UNKNOWN_FLAGS:
        raise bad_record("an audio frame has no flags or unknown ones")
    if not payload[0] & FLAG_TIMESTAMP:
        return payload[0], None, payload[1:]
    if len(payload) < 1 + TIMESTAMP_BYTES:
        raise bad_record("an audio timestamp is cut off")
    return payload[0] ^ FLAG_TIMESTAMP, int.from_bytes(payload[1:5]), payload[5:]


def encode_audio(codec_bytes: bytes, flags: int, timestamp: int | None) -> bytes:
    """Build an audio payload; a timestamp sets its flag."""
    if timestamp is None:
        return flags.to_bytes(1) + codec_bytes
    return (flags | FLAG_TIMESTAMP).to_bytes(1) + timestamp.to_bytes(4) + codec_bytes


def _exact(payload: bytes, length: int, what: str) -> bytes:
    if len(payload) != length:
        raise bad_record(f"{what} has a wrong length")
    return payload


def decode_switch_untrusted(payload: bytes) -> int:
    """The new epoch of a switch.  Raises bad_record."""
    return int.from_bytes(_exact(payload, 4, "a switch"))


def decode_dtmf_untrusted(payload: bytes) -> tuple[int, int]:
    """(event, duration in ms) of a DTMF frame (RFC 4733).  Raises bad_record."""
    _exact(payload, 3, "a dtmf frame")
    if payload[0] > MAX_DTMF_EVENT:
        raise bad_record("a dtmf event is above 15")
    return payload[0], int.from_bytes(payload[1:])


def decode_ping_untrusted(payload: bytes) -> bytes:
    """The eight bytes of a ping or pong.  Raises bad_record."""
    return _exact(payload, PING_BYTES, "a ping or pong")


def decode_close_untrusted(payload: bytes) -> int:
    """The code of a close.  Raises bad_record."""
    return int.from_bytes(_exact(payload, 2, "a close"))


def decode_json_untrusted(payload: bytes) -> bytes:
    """A JSON object, as it came.  Raises WireError."""
    if len(payload) > MAX_JSON_BYTES:
        raise bad_record("a json frame is too long")
    if not is_json_object(payload):
        raise bad_record("a json frame holds no JSON object")
    return payload


def decode_mark_untrusted(payload: bytes) -> str:
    """The name of a mark.  Raises bad_record."""
    if len(payload) > MAX_MARK_BYTES:
        raise bad_record("a mark's name is too long")
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise bad_record("a mark's name is not UTF-8") from None


def decode_clear_untrusted(payload: bytes) -> None:
    """A clear has no payload.  Raises bad_record."""
    _exact(payload, 0, "a clear")


def decode_mute_untrusted(payload: bytes) -> bool:
    """Whether the client is muted.  Raises bad_record."""
    _exact(payload, 1, "a mute frame")
    if payload[0] > 1:
        raise bad_record("a mute frame is neither 0 nor 1")
    return payload[0] == 1


def decode_data_untrusted(payload: bytes) -> bytes:
    """Opaque data of a data session.  Raises bad_record."""
    if len(payload) > MAX_DATA_BYTES:
        raise bad_record("a data frame is too long")
    return payload
