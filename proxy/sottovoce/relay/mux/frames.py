"""The frames of the mux contract, as the proxy writes and reads them.  Pure; the normative text is docs/backend-mux.md.

A frame is `length u16 ‖ call u32 ‖ type u8 ‖ body`, big endian, the length that of the body.  An audio frame's body is
the payload of the voice protocol's frame type 1 as it is (protocol §9), so that it costs a header and no more; where
frames are missing before it a flag says so, and their number stands behind the flags.  The backend library has a
reading of its own (`backend.machine.mux`).
"""

import struct
from typing import Final

import msgspec

from sottovoce.primitives import one_line
from sottovoce.relay import raw_messages
from sottovoce.relay.call import CallEnd, CallStart, LegStatistics
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.wire import MAX_DATA_BYTES, frames

HEADER: Final = struct.Struct(">HIB")
HEADER_BYTES: Final = HEADER.size
MAX_BODY_BYTES: Final = 16_384
MAX_CALL: Final = 0xFFFF_FFFF
MAX_CREDIT: Final = 0x7FFF_FFFF
"""Frames that may be granted in all and not used yet."""
MAGIC: Final = b"SVMUX"
VERSION: Final = 1
GREETING: Final = MAGIC + bytes((VERSION, VERSION)) + b"\n"
"""Magic, the lowest and the highest version, and a line's end: whoever expects lines answers, and is found out."""

OPEN: Final = 0x01
OPENED: Final = 0x02
REFUSED: Final = 0x03
AUDIO: Final = 0x10
DATA: Final = 0x11
DTMF: Final = 0x12
MARK: Final = 0x13
CLEAR: Final = 0x14
JSON: Final = 0x15
MUTE: Final = 0x16
STOP: Final = 0x20
ERROR: Final = 0x21
CREDIT: Final = 0x22
PING: Final = 0x30
PONG: Final = 0x31
GOAWAY: Final = 0x32
FIRST_IGNORED: Final = 0x80

NAMES: Final = {
    OPEN: "open", OPENED: "opened", REFUSED: "refused",
    AUDIO: "audio", DATA: "data", DTMF: "dtmf", MARK: "mark", CLEAR: "clear", JSON: "json", MUTE: "mute",
    STOP: "stop", ERROR: "error", CREDIT: "credit", PING: "ping", PONG: "pong", GOAWAY: "goaway",
}  # fmt: skip
OF_A_CALL: Final = frozenset({OPENED, REFUSED, AUDIO, DATA, DTMF, MARK, CLEAR, JSON, STOP, ERROR, CREDIT})
"""What a backend may say of a call."""
PAID: Final = frozenset({AUDIO, DATA, DTMF, MARK, CLEAR, JSON, MUTE})
"""What asks for credit."""
OTHER_WAY: Final = frozenset({OPEN, MUTE})
"""What only the proxy says."""
UNCOUNTED: Final = OF_A_CALL - PAID
"""What may cross the end of its call however often."""
FLAG_LOST: Final = 0x01
PING_BYTES: Final = 8
_CREDIT_BYTES: Final = 4
_MAX_WORDS: Final = 120
"""Characters of a backend's own words that are passed on."""


class _Why(msgspec.Struct, frozen=True):
    """The body of refused, error and goaway."""

    code: str = ""
    reason: str = ""


class _HangUp(msgspec.Struct, frozen=True):
    reason: str = ""


_why = msgspec.json.Decoder(_Why)
_hang_up = msgspec.json.Decoder(_HangUp)
_encoder = msgspec.json.Encoder()


def frame(kind: int, call: int, body: bytes = b"") -> bytes:
    """Build a frame."""
    return HEADER.pack(len(body), call, kind) + body


def named(kind: int) -> str:
    """Name a frame in a fault's detail."""
    return f"a frame of type 0x{kind:02x} ({NAMES.get(kind, 'unknown')})"


def encode_open(call: int, start: CallStart) -> bytes:
    """Open a call: the `start` of the raw contract."""
    return frame(OPEN, call, raw_messages.encode_start(start, header=True).encode())


def encode_audio_behind_a_hole(call: int, payload: bytes, lost_before: int) -> bytes:
    """Build an audio frame of the payload of frame type 1, before which so many frames, one or more, are missing."""
    lost = min(lost_before, raw_messages.MAX_LOST)
    return frame(AUDIO, call, bytes((payload[0] | FLAG_LOST,)) + lost.to_bytes(2) + payload[1:])


def encode_dtmf(call: int, event: int, duration_ms: int) -> bytes:
    """Build a key press."""
    return frame(DTMF, call, event.to_bytes(1) + duration_ms.to_bytes(2))


def encode_stop(call: int, end: CallEnd, leg: LegStatistics) -> bytes:
    """Build a call's last frame: the `stop` of the raw contract."""
    return frame(STOP, call, raw_messages.encode_stop(end, leg).encode())


def encode_error(call: int, code: str, reason: str) -> bytes:
    """Give up a call, or with call 0 the connection."""
    return frame(ERROR, call, _encoder.encode(_Why(code, reason)))


def encode_credit(call: int, count: int) -> bytes:
    """Grant so many frames more."""
    return frame(CREDIT, call, count.to_bytes(_CREDIT_BYTES))


def encode_goaway(reason: str) -> bytes:
    """Say that this connection has no more calls."""
    return frame(GOAWAY, 0, _encoder.encode(_Why("drain", reason)))


def check_greeting_untrusted(greeting: bytes) -> None:
    """Check a backend's greeting, or as much as has come of it.  Raises BackendMisbehaved."""
    magic = len(MAGIC)
    if greeting[:magic] != MAGIC[: len(greeting)] or greeting[magic + 2 :] not in {b"", b"\n"}:
        raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"it does not speak mux: it began with {greeting!r}")
    versions = greeting[magic : magic + 2]
    if len(versions) == 2 and not versions[0] <= VERSION <= versions[1]:  # noqa: PLR2004  both bytes are there
        text = f"it speaks versions {versions[0]} to {versions[1]} of mux, this proxy {VERSION}"
        raise BackendMisbehaved(BackendFault.BAD_FRAMING, text)


def decode_why_untrusted(body: bytes) -> str:
    """Give `code: reason` of a backend's refusal or error, one line; what cannot be read says nothing."""
    try:
        why = _why.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "without a reason that can be read"
    return _words(": ".join(part for part in (why.code, why.reason) if part)) or "without a reason"


def decode_hang_up_untrusted(body: bytes) -> str:
    """Give the reason of a backend's `stop`, which may have none.  Raises BackendMisbehaved (bad_text)."""
    try:
        return _words(_hang_up.decode(body or b"{}").reason)
    except RecursionError:
        raise BackendMisbehaved(BackendFault.BAD_TEXT, "a stop whose JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BackendMisbehaved(BackendFault.BAD_TEXT, f"a stop that cannot be read: {one_line(str(error))}") from None


def decode_credit_untrusted(body: bytes) -> int:
    """Give the number of frames that are granted.  Raises BackendMisbehaved."""
    if len(body) != _CREDIT_BYTES:
        raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"a credit of {len(body)} bytes, not {_CREDIT_BYTES}")
    count = int.from_bytes(body)
    if not count:
        raise BackendMisbehaved(BackendFault.BAD_FRAMING, "a credit for no frames")
    return count


def decode_audio_untrusted(
    buffer: bytes, at: int, end: int, shape: raw_messages.AudioShape
) -> tuple[bytes, int, int | None]:
    """Split a backend's audio, the body from `at` to `end` of a buffer that is not cut up for each frame.

    Gives (codec bytes, flags without the timestamp's, timestamp or None).  Raises BackendMisbehaved (bad_audio).
    """
    if at == end:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, "an audio frame without flags")
    flags, timestamp = buffer[at], None
    at += 1
    if flags:
        if flags & frames.UNKNOWN_FLAGS:
            raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"unknown flags 0x{flags:02x}")
        if flags & frames.FLAG_TIMESTAMP:
            if end - at < frames.TIMESTAMP_BYTES:
                raise BackendMisbehaved(BackendFault.BAD_AUDIO, "a timestamp is cut off")
            flags ^= frames.FLAG_TIMESTAMP
            timestamp = int.from_bytes(buffer[at : at + frames.TIMESTAMP_BYTES])
            at += frames.TIMESTAMP_BYTES
    length = end - at
    if length > shape.max_bytes:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{length} bytes, a frame has at most {shape.max_bytes}")
    if length % shape.sample_bytes:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{length} bytes, a sample has {shape.sample_bytes}")
    return buffer[at:end], flags, timestamp


def decode_data_untrusted(body: bytes) -> bytes:
    """Data of a data session.  Raises BackendMisbehaved (bad_audio)."""
    if len(body) > MAX_DATA_BYTES:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{len(body)} bytes of data, {MAX_DATA_BYTES} are allowed")
    return body


def _words(text: str) -> str:
    """Make a backend's words one short line, which says so where it is cut."""
    line = one_line(text, max_characters=_MAX_WORDS)
    return line if len(text) <= _MAX_WORDS else f"{line[:-1]}…"
