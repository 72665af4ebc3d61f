"""The messages of the `raw` contract, seen from the backend: what it reads and what it writes.  Pure.

Its own reading of docs/backend-raw.md, which a test holds it to; the proxy's is `relay.raw_messages`.  Unknown members
and unknown texts are ignored, as the contract says.  What a handler wants to send is checked here, its types by
`given`, where its author can see it: the proxy would end the call.
"""

import struct
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

import msgspec

from sottovoce.backend.errors import PeerMisbehaved
from sottovoce.backend.items import (
    SAMPLE_BYTES,
    Audio,
    Data,
    Dtmf,
    Ended,
    Item,
    Json,
    MarkPlayed,
    Mute,
    Start,
    Statistics,
)
from sottovoce.backend.machine import given
from sottovoce.primitives import ApiMisuse, one_line
from sottovoce.wire import MAX_DATA_BYTES, MAX_DTMF_EVENT, MAX_JSON_BYTES, MAX_MARK_BYTES

VERSION: Final = 1
MAX_OPUS_BYTES: Final = 4_000
MAX_DURATION_MS: Final = 0xFFFF
MAX_REASON_CHARACTERS: Final = 120
TIMESTAMP, TALK_SPURT, END_OF_TURN = 0x10, 0x20, 0x40
_HEADER = struct.Struct(">BIH")
"""flags u8, timestamp u32, frames lost before u16."""
HEADER_BYTES: Final = _HEADER.size
_Read = TypeVar("_Read")


class _Any(msgspec.Struct, frozen=True):
    type: str


class _Version(msgspec.Struct, frozen=True):
    version: int


class _Dtmf(msgspec.Struct, frozen=True):
    event: Annotated[int, msgspec.Meta(ge=0, le=MAX_DTMF_EVENT)]
    duration_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_DURATION_MS)]


class _Stop(msgspec.Struct, frozen=True):
    code: int
    reason: str
    truncated: bool
    statistics: Statistics


_of_any_type = msgspec.json.Decoder(_Any)
_version = msgspec.json.Decoder(_Version)
_start = msgspec.json.Decoder(Start)
_dtmf = msgspec.json.Decoder(_Dtmf)
_mark = msgspec.json.Decoder(MarkPlayed)
_mute = msgspec.json.Decoder(Mute)
_json = msgspec.json.Decoder(Json)
_stop = msgspec.json.Decoder(_Stop)
_encoder = msgspec.json.Encoder()


# What a backend reads.


def read_start_untrusted(text: str) -> Start:
    """Read the first message of a call.  Raises PeerMisbehaved."""
    if (kind := _decode(_of_any_type, text).type) != "start":
        raise PeerMisbehaved(f"the first message is not `start` but {one_line(kind)!r}")
    if (version := _decode(_version, text).version) != VERSION:
        raise PeerMisbehaved(f"the proxy speaks version {version} of the contract, this backend {VERSION}")
    return _decode(_start, text)


def read_text_untrusted(text: str) -> Item | None:
    """Read a further text; None for one that this version does not know.  Raises PeerMisbehaved."""
    kind = _decode(_of_any_type, text).type
    if kind == "start":
        raise PeerMisbehaved("`start` came a second time")
    match kind:
        case "dtmf":
            key = _decode(_dtmf, text)
            return Dtmf(key.event, key.duration_ms)
        case "mark":
            return _decode(_mark, text)
        case "mute":
            return _decode(_mute, text)
        case "json":
            return _decode(_json, text)
        case "stop":
            stop = _decode(_stop, text)
            return Ended(stop.code, one_line(stop.reason), stop.truncated, stop.statistics)
        case _:
            return None


def read_binary_untrusted(message: bytes, start: Start) -> Audio | Data:
    """Read a frame of audio or data.  Raises PeerMisbehaved."""
    if start.is_data:
        return Data(message)
    if not start.header:
        return Audio(message)
    if len(message) < HEADER_BYTES:
        raise PeerMisbehaved(f"an audio message is shorter than its header of {HEADER_BYTES} bytes")
    flags, timestamp, lost = _HEADER.unpack_from(message)
    return Audio(
        message[HEADER_BYTES:],
        talk_spurt=bool(flags & TALK_SPURT),
        end_of_turn=bool(flags & END_OF_TURN),
        timestamp=timestamp if flags & TIMESTAMP else None,
        lost_before=lost,
    )


# What it writes.


def take_audio(audio: Audio, start: Start) -> bytes:
    """Give the codec bytes of a frame.  Raises ApiMisuse for what cannot be one in this call."""
    if start.is_data:
        raise ApiMisuse("a call without audio takes no audio: send data")
    payload = audio.payload
    if type(payload) is not bytes:
        payload = given.take_bytes("audio", payload)
    if not (audio.talk_spurt is audio.end_of_turn is False and audio.timestamp is None):
        given.check_header(audio.talk_spurt, audio.end_of_turn, audio.timestamp)
    length, most = len(payload), start.reply_frame_bytes or MAX_OPUS_BYTES
    if length > most:
        raise ApiMisuse(f"audio: {length} bytes, a frame of {_reply(start)} has at most {most}: send it in pieces")
    if length % SAMPLE_BYTES.get(start.reply_codec, 1):
        raise ApiMisuse(f"audio: {length} bytes of {_reply(start)} end within a sample: send whole samples")
    return payload


def flags_of(audio: Audio) -> int:
    """The flags of a frame, but for the timestamp's."""
    if audio.talk_spurt is audio.end_of_turn is False:
        return 0
    return TALK_SPURT * audio.talk_spurt | END_OF_TURN * audio.end_of_turn


def write_audio(audio: Audio, start: Start) -> bytes:
    """Make a frame for the client.  Raises ApiMisuse for what cannot be one in this call."""
    payload = take_audio(audio, start)
    if not start.header:
        return payload
    flags = flags_of(audio)
    if audio.timestamp is None:
        return _HEADER.pack(flags, 0, 0) + payload
    return _HEADER.pack(flags | TIMESTAMP, audio.timestamp & 0xFFFF_FFFF, 0) + payload


def write_data(data: object, start: Start) -> bytes:
    """Make a message of data.  Raises ApiMisuse."""
    if not start.is_data:
        raise ApiMisuse("a call with audio takes no data: use json")
    payload = given.take_bytes("data", data)
    if len(payload) > MAX_DATA_BYTES:
        raise ApiMisuse(f"data: {len(payload)} bytes, {MAX_DATA_BYTES} are allowed: send it in pieces")
    return payload


def take_mark(name: object) -> str:
    """Give the name of a mark.  Raises ApiMisuse for what cannot be one."""
    text = given.take_text("mark: the name", name)
    if len(text.encode()) > MAX_MARK_BYTES:
        raise ApiMisuse(f"mark: a name has at most {MAX_MARK_BYTES} bytes: give a shorter one")
    return text


def write_mark(name: str) -> str:
    """Make a mark.  Raises ApiMisuse."""
    return _text({"type": "mark", "name": take_mark(name)})


def take_dtmf(event: object, duration_ms: object) -> tuple[int, int]:
    """Give a key and how long it is pressed.  Raises ApiMisuse for what is no key."""
    key = given.take_integer("dtmf: event", event, MAX_DTMF_EVENT)
    return key, given.take_integer("dtmf: duration_ms", duration_ms, MAX_DURATION_MS)


def write_dtmf(event: int, duration_ms: int) -> str:
    """Make a key press.  Raises ApiMisuse."""
    event, duration_ms = take_dtmf(event, duration_ms)
    return _text({"type": "dtmf", "event": event, "duration_ms": duration_ms})


def write_clear() -> str:
    """Make a `clear`."""
    return _text({"type": "clear"})


def encode_object(value: Mapping[str, object]) -> bytes:
    """Give a JSON object for the client's application as bytes.  Raises ApiMisuse."""
    return given.take_object(value, MAX_JSON_BYTES)


def write_json(value: Mapping[str, object]) -> str:
    """Make a JSON object for the client's application.  Raises ApiMisuse."""
    return _text({"type": "json", "value": msgspec.Raw(encode_object(value))})


def take_reason(reason: object) -> str:
    """Give why a call ends, as one short line.  Raises ApiMisuse."""
    return one_line(given.check_text("hang_up: the reason", reason), max_characters=MAX_REASON_CHARACTERS)


def write_stop(reason: str) -> str:
    """Make the backend's `stop`.  Raises ApiMisuse."""
    reason = take_reason(reason)
    return _text({"type": "stop", "reason": reason} if reason else {"type": "stop"})


def _reply(start: Start) -> str:
    return f"{start.reply_codec} at {start.reply_rate}"


def _text(message: Mapping[str, object]) -> str:
    return _encoder.encode(message).decode()


def _decode(decoder: "msgspec.json.Decoder[_Read]", text: str) -> _Read:
    try:
        return decoder.decode(text)
    except RecursionError:
        raise PeerMisbehaved("a text is JSON nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PeerMisbehaved(f"a text is not as the contract has it: {one_line(str(error))}") from None
