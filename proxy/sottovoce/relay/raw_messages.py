"""The messages of the `raw` contract, both ways, as bytes and text.  Pure; the normative text is `docs/backend-raw.md`.

Texts to the backend are built from structs with a `type` tag.  Texts from it are decoded into structs: unknown members
are ignored, so that a backend may say more than we know, while an unknown type ends the call: a typing mistake that is
silently ignored costs its author an afternoon, and `start` tells the contract's version.
"""

import struct
from typing import Annotated, Final

import msgspec

from sottovoce.primitives import one_line
from sottovoce.relay.call import CallEnd, CallStart, LegStatistics
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.wire import MAX_DATA_BYTES, MAX_JSON_BYTES, MAX_MARK_BYTES, Codec, frames, is_json_object

VERSION: Final = 1
MAX_OPUS_BYTES: Final = 4_000
"""An Opus packet: 60 ms at the codec's highest rate, 510 kbit/s, is 3 825 bytes."""
MAX_LOST: Final = 0xFFFF
_HEADER = struct.Struct(">BIH")
"""flags u8, timestamp u32, frames lost before u16."""
HEADER_BYTES: Final = _HEADER.size


class AudioShape(msgspec.Struct, frozen=True):
    """What the codec bytes of one frame of a call can be, worked out once a call."""

    max_bytes: int
    sample_bytes: int
    """1 for Opus, whose packets have no samples."""


class MarkText(msgspec.Struct, frozen=True, tag="mark"):
    """A mark: from the backend to be played past, to the backend once it was."""

    name: str


class DtmfText(msgspec.Struct, frozen=True, tag="dtmf"):
    """A key press, RFC 4733."""

    event: Annotated[int, msgspec.Meta(ge=0, le=15)]
    duration_ms: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]


class ClearText(msgspec.Struct, frozen=True, tag="clear"):
    """Barge-in: from the backend only."""


class MuteText(msgspec.Struct, frozen=True, tag="mute"):
    """The client's microphone: to the backend only."""

    muted: bool


class JsonText(msgspec.Struct, frozen=True, tag="json"):
    """A JSON object for the other end's application."""

    value: msgspec.Raw


class HangUpText(msgspec.Struct, frozen=True, tag="stop"):
    """The backend's `stop`."""

    reason: str = ""


class _StartText(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    version: int
    session_id: str
    route: str
    codec: str
    rate: int
    reply_codec: str
    reply_rate: int
    frame_ms: int
    header: bool
    identity: str | None
    suite: str
    epoch: int
    epoch_seconds: int
    client_address: str
    metadata: msgspec.Raw | None


class _StopStatistics(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float
    epochs: int
    frames_from_client: int
    frames_to_client: int
    frames_lost: int
    frames_dropped_to_client: int
    frames_dropped_to_backend: int
    frames_dropped_from_backend: int


class _StopText(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    code: int
    reason: str
    truncated: bool
    statistics: _StopStatistics


BackendText = MarkText | DtmfText | ClearText | JsonText | HangUpText
"""What a backend may write."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(BackendText)

CODEC_NAMES: Final = {
    Codec.NONE: "none",
    Codec.OPUS_48K_MONO: "opus",
    Codec.OPUS_48K_STEREO: "opus-stereo",
    Codec.PCM16_8K: "pcm16",
    Codec.PCM16_16K: "pcm16",
    Codec.PCM16_24K: "pcm16",
    Codec.PCM16_48K: "pcm16",
    Codec.PCMU_8K: "pcmu",
    Codec.PCMA_8K: "pcma",
}
"""Names in `start`; with the rate beside it a name is unique.  pcm16 is little-endian."""


def encode_start(start: CallStart, *, header: bool) -> str:
    """The first text to a backend.  `start.metadata` was checked by the session: it is a JSON object."""
    return _text(
        _StartText(
            version=VERSION,
            session_id=start.session_id.hex(),
            route=start.route,
            codec=CODEC_NAMES[start.send_codec],
            rate=start.send_codec.sample_rate,
            reply_codec=CODEC_NAMES[start.receive_codec],
            reply_rate=start.receive_codec.sample_rate,
            frame_ms=start.frame_milliseconds,
            header=header,
            identity=start.identity,
            suite=start.suite.name,
            epoch=start.epoch,
            epoch_seconds=start.epoch_seconds,
            client_address=start.client_address,
            metadata=None if start.metadata is None else msgspec.Raw(start.metadata),
        )
    )


def audio_shape(codec: Codec, frame_milliseconds: int) -> AudioShape:
    """The shape of the frames that a backend may send."""
    return AudioShape(codec.frame_bytes(frame_milliseconds) or MAX_OPUS_BYTES, codec.bytes_per_sample or 1)


def encode_stop(end: CallEnd, leg: LegStatistics) -> str:
    """The last text to a backend: how the call ended, and both sides' counters in one table."""
    call = end.statistics
    return _text(
        _StopText(
            code=end.code,
            reason=end.reason,
            truncated=end.truncated,
            statistics=_StopStatistics(
                seconds=round(call.seconds, 3),
                epochs=call.epochs,
                frames_from_client=call.frames_from_client,
                frames_to_client=call.frames_to_client,
                frames_lost=call.frames_lost,
                frames_dropped_to_client=call.frames_dropped_to_client,
                frames_dropped_to_backend=leg.frames_dropped_to_backend,
                frames_dropped_from_backend=leg.frames_dropped_from_backend,
            ),
        )
    )


def encode_dtmf(event: int, duration_ms: int) -> str:
    """A key press of the client."""
    return _text(DtmfText(event, duration_ms))


def encode_mark(name: str) -> str:
    """A mark that the client has played past."""
    return _text(MarkText(name))


def encode_mute(*, muted: bool) -> str:
    """The client's microphone."""
    return _text(MuteText(muted))


def encode_json(data: bytes) -> str:
    """The client's JSON object, byte for byte; the session has checked that it is one."""
    return _text(JsonText(msgspec.Raw(data)))


def encode_audio(payload: bytes, lost_before: int, *, header: bool) -> bytes:
    """Turn the payload of frame type 1 into one binary message: codec bytes, behind the fixed header if wanted."""
    codec_bytes_at = 1 + frames.TIMESTAMP_BYTES if payload[0] & frames.FLAG_TIMESTAMP else 1
    if not header:
        return payload[codec_bytes_at:]
    timestamp = int.from_bytes(payload[1:codec_bytes_at])
    return _HEADER.pack(payload[0], timestamp, min(lost_before, MAX_LOST)) + payload[codec_bytes_at:]


def decode_text_untrusted(text: str, *, data_session: bool = False) -> BackendText:
    """Decode a text from a backend.  Raises BackendMisbehaved (bad_text)."""
    try:
        message: BackendText = _decoder.decode(text)
    except RecursionError:
        raise BackendMisbehaved(BackendFault.BAD_TEXT, "JSON nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BackendMisbehaved(BackendFault.BAD_TEXT, one_line(str(error))) from None
    match message:
        case MarkText() | DtmfText() | ClearText() if data_session:
            raise BackendMisbehaved(BackendFault.BAD_TEXT, "mark, dtmf and clear have no place in a data session")
        case MarkText(name) if len(name.encode()) > MAX_MARK_BYTES:
            raise BackendMisbehaved(BackendFault.BAD_TEXT, f"a mark's name is above {MAX_MARK_BYTES} bytes")
        case JsonText(value) if len(value) > MAX_JSON_BYTES:
            raise BackendMisbehaved(BackendFault.BAD_TEXT, f"the value of a json is above {MAX_JSON_BYTES} bytes")
        case JsonText(value) if not is_json_object(bytes(value)):
            raise BackendMisbehaved(BackendFault.BAD_TEXT, "the value of a json is not an object")
        case _:
            return message


def decode_audio_untrusted(message: bytes, shape: AudioShape, *, header: bool) -> tuple[bytes, int, int | None]:
    """Split a binary message from a backend into (codec bytes, flags without the timestamp's, timestamp or None).

    Raises BackendMisbehaved (bad_audio) for a cut header, unknown flags, and more codec bytes than a frame has or a
    part of a sample.  Fewer are fine (the last frame of a recording), none is silence.
    """
    flags, timestamp = 0, None
    if header:
        if len(message) < HEADER_BYTES:
            raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"shorter than the header of {HEADER_BYTES} bytes")
        flags, ticks, _lost = _HEADER.unpack_from(message)
        if flags & frames.UNKNOWN_FLAGS:
            raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"unknown flags 0x{flags:02x}")
        if flags & frames.FLAG_TIMESTAMP:
            flags, timestamp = flags ^ frames.FLAG_TIMESTAMP, ticks
        message = message[HEADER_BYTES:]
    length = len(message)
    if length > shape.max_bytes:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{length} bytes, a frame has at most {shape.max_bytes}")
    if length % shape.sample_bytes:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{length} bytes, a sample has {shape.sample_bytes}")
    return message, flags, timestamp


def decode_data_untrusted(message: bytes) -> bytes:
    """A binary message of a data session.  Raises BackendMisbehaved (bad_audio) when it is too long."""
    if len(message) > MAX_DATA_BYTES:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{len(message)} bytes of data, {MAX_DATA_BYTES} are allowed")
    return message


def _text(message: msgspec.Struct) -> str:
    return _encoder.encode(message).decode()
