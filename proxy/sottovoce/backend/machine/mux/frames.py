"""The frames of the mux contract, seen from the backend.  Pure; its own reading of docs/backend-mux.md.

What a handler wants to send is checked as in `machine.messages`, where its author can see it.
"""

import struct
from typing import Final

import msgspec

from sottovoce.backend.errors import PeerMisbehaved
from sottovoce.backend.items import Audio, Data, Dtmf, Ended, Item, Json, MarkPlayed, Mute, Start
from sottovoce.backend.machine import messages
from sottovoce.primitives import one_line

GREETING: Final = b"SVMUX\x01\x01\n"
HEADER: Final = struct.Struct(">HIB")
"""Length of the body u16, call u32, type u8."""
MAX_BODY_BYTES: Final = 16_384
MAX_CREDIT: Final = 0x7FFF_FFFF

OPEN, OPENED, REFUSED = 0x01, 0x02, 0x03
AUDIO, DATA, DTMF, MARK, CLEAR, JSON, MUTE = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16
STOP, ERROR, CREDIT = 0x20, 0x21, 0x22
PING, PONG, GOAWAY = 0x30, 0x31, 0x32
FIRST_IGNORED: Final = 0x80
_LOST, _TIMESTAMP = 0x01, messages.TIMESTAMP
_PING_BYTES: Final = 8


class _Why(msgspec.Struct, frozen=True):
    code: str = ""
    reason: str = ""


_why = msgspec.json.Decoder(_Why)
_object = msgspec.json.Decoder(dict[str, object])
_encoder = msgspec.json.Encoder()


def frame(kind: int, call: int, body: bytes = b"") -> bytes:
    """Build a frame."""
    return HEADER.pack(len(body), call, kind) + body


# What a backend reads.


def check_greeting_untrusted(greeting: bytes) -> None:
    """Check the proxy's greeting, or as much as has come of it.  Raises PeerMisbehaved."""
    magic, length = GREETING[:5], len(GREETING)
    if greeting[:5] != magic[: len(greeting)] or greeting[length - 1 :] not in {b"", b"\n"}:
        raise PeerMisbehaved("it does not speak mux")
    if len(greeting) == length and not greeting[5] <= GREETING[5] <= greeting[6]:
        raise PeerMisbehaved(f"it speaks versions {greeting[5]} to {greeting[6]} of mux, this backend {GREETING[5]}")


def read_open_untrusted(body: bytes) -> Start:
    """Read what opens a call.  Raises PeerMisbehaved."""
    return messages.read_start_untrusted(_text(body))


def read_stop_untrusted(body: bytes) -> Ended:
    """Read how a call ended.  Raises PeerMisbehaved."""
    ended = messages.read_text_untrusted(_text(body))
    if not isinstance(ended, Ended):
        raise PeerMisbehaved("a `stop` of another type")
    return ended


def read_why_untrusted(body: bytes) -> str:
    """Read the reason of an error or a farewell, one line; nothing where it cannot be read."""
    try:
        why = _why.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    return one_line(": ".join(part for part in (why.code, why.reason) if part))


def read_credit_untrusted(body: bytes) -> int:
    """Read how many frames more may be sent.  Raises PeerMisbehaved."""
    if len(body) != 4 or not (count := int.from_bytes(body)):  # noqa: PLR2004  a u32
        raise PeerMisbehaved(f"a credit of {len(body)} bytes, or of none")
    return count


def read_ping_untrusted(body: bytes) -> bytes:
    """Read what a pong has to say.  Raises PeerMisbehaved."""
    if len(body) != _PING_BYTES:
        raise PeerMisbehaved(f"a ping of {len(body)} bytes")
    return body


def read_item_untrusted(kind: int, body: bytes, start: Start) -> Item:
    """Read what a handler is told.  Raises PeerMisbehaved, also for what has no place in such a call."""
    if kind == AUDIO and not start.is_data:
        return _audio(body)
    if kind == JSON:
        return Json(_decode_object(body))
    if start.is_data:
        if kind == DATA:
            return Data(body)
    elif kind == DTMF and len(body) == 3:  # noqa: PLR2004  a u8 and a u16
        return Dtmf(body[0], int.from_bytes(body[1:]))
    elif kind == MARK:
        return MarkPlayed(_text(body))
    elif kind == MUTE and body in {b"\0", b"\1"}:
        return Mute(body == b"\1")
    raise PeerMisbehaved(f"a frame of type 0x{kind:02x} that this call cannot have")


def _audio(body: bytes) -> Audio:
    if body[:1] == b"\0":
        return Audio(body[1:])
    flags, at, lost, timestamp = body[0] if body else 0, 1, 0, None
    if flags & _LOST:
        lost, at = int.from_bytes(body[at : at + 2]), at + 2
    if flags & _TIMESTAMP:
        timestamp, at = int.from_bytes(body[at : at + 4]), at + 4
    if len(body) < at:
        raise PeerMisbehaved("an audio frame is cut off")
    return Audio(
        body[at:],
        talk_spurt=bool(flags & messages.TALK_SPURT),
        end_of_turn=bool(flags & messages.END_OF_TURN),
        timestamp=timestamp,
        lost_before=lost,
    )


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise PeerMisbehaved("a text is not UTF-8") from None


def _decode_object(body: bytes) -> dict[str, object]:
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise PeerMisbehaved(f"a json is no object: {one_line(str(error))}") from None


# What it writes.


def write_audio(call: int, audio: Audio, start: Start) -> bytes:
    """Make a frame for the client.  Raises ApiMisuse for what cannot be one in this call."""
    payload = messages.take_audio(audio, start)
    flags = messages.flags_of(audio)
    if audio.timestamp is None:
        return HEADER.pack(1 + len(payload), call, AUDIO) + flags.to_bytes(1) + payload
    timestamp = (audio.timestamp & 0xFFFF_FFFF).to_bytes(4)
    return frame(AUDIO, call, (flags | _TIMESTAMP).to_bytes(1) + timestamp + payload)


def write_mark(call: int, name: str) -> bytes:
    """Make a mark.  Raises ApiMisuse."""
    return frame(MARK, call, messages.take_mark(name).encode())


def write_dtmf(call: int, event: int, duration_ms: int) -> bytes:
    """Make a key press.  Raises ApiMisuse."""
    event, duration_ms = messages.take_dtmf(event, duration_ms)
    return frame(DTMF, call, event.to_bytes(1) + duration_ms.to_bytes(2))


def write_stop(call: int, reason: str) -> bytes:
    """Make the backend's `stop`.  Raises ApiMisuse."""
    reason = messages.take_reason(reason)
    return frame(STOP, call, _encoder.encode({"reason": reason}) if reason else b"")


def write_why(kind: int, call: int, code: str, reason: str) -> bytes:
    """Make a `refused` or an `error`."""
    return frame(kind, call, _encoder.encode(_Why(code, one_line(reason))))


def write_credit(call: int, count: int) -> bytes:
    """Let the proxy send so many frames more."""
    return frame(CREDIT, call, count.to_bytes(4))
