"""The messages of Media Streams, both ways, as text.  Pure.

The source is Twilio's page "Media Streams - WebSocket Messages"
(https://www.twilio.com/docs/voice/media-streams/websocket-messages): members and their order are as in its examples,
numbers that it shows as strings are strings.  `MessageWriter` numbers what it writes, so it must be asked in the order
in which things leave.  From a bot, members that we do not know are ignored.
"""

import binascii
from typing import Final

import msgspec

from sottovoce.primitives import one_line
from sottovoce.relay.errors import BackendFault, BackendMisbehaved

MAX_MESSAGE_BYTES: Final = 655_360
"""The largest text taken from a bot: 60 s of audio in one `media`, which is as far as it may run ahead."""
MAX_MARK_NAME_BYTES: Final = 1_024
KEYS: Final = "0123456789*#ABCD"
"""Of RFC 4733's events 0 to 15."""


class MediaMessage(msgspec.Struct, frozen=True):
    """Audio to be played."""

    mulaw: bytes


class MarkMessage(msgspec.Struct, frozen=True):
    """A mark, which comes back once what was sent before it has been played."""

    name: str


class ClearMessage(msgspec.Struct, frozen=True):
    """Forget audio that has not been played."""


BotMessage = MediaMessage | MarkMessage | ClearMessage


class _Media(msgspec.Struct, frozen=True):
    payload: str


class _MediaText(msgspec.Struct, frozen=True, tag="media", tag_field="event", rename="camel"):
    stream_sid: str
    media: _Media


class _MarkName(msgspec.Struct, frozen=True):
    name: str


class _MarkText(msgspec.Struct, frozen=True, tag="mark", tag_field="event", rename="camel"):
    stream_sid: str
    mark: _MarkName


class _ClearText(msgspec.Struct, frozen=True, tag="clear", tag_field="event", rename="camel"):
    stream_sid: str


class _AnyText(msgspec.Struct, frozen=True):
    event: str


_decoder = msgspec.json.Decoder(_MediaText | _MarkText | _ClearText)
_any_decoder = msgspec.json.Decoder(_AnyText)
_BOT_EVENTS = {"media", "mark", "clear"}


class MessageWriter:
    """Writes one stream's messages to the bot."""

    __slots__ = ("_account_sid", "_call_sid", "_chunks", "_media_end", "_sequence", "stream_sid")

    def __init__(self, session_id: bytes, account_sid: str) -> None:
        """A call's SIDs are its 16-byte session id in hexadecimal."""
        self.stream_sid: Final = "MZ" + session_id.hex()
        self._call_sid = "CA" + session_id.hex()
        self._account_sid = account_sid
        self._sequence = 0
        self._chunks = 0
        self._media_end = f'"}},"streamSid":"{self.stream_sid}"}}'

    def connected(self) -> str:
        """The first message; it has no number."""
        return _text({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, custom_parameters: dict[str, str]) -> str:
        """The second message, number 1."""
        return _text(
            {
                "event": "start",
                "sequenceNumber": self._number(),
                "start": {
                    "accountSid": self._account_sid,
                    "streamSid": self.stream_sid,
                    "callSid": self._call_sid,
                    "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": custom_parameters,
                },
                "streamSid": self.stream_sid,
            }
        )

    def media(self, mulaw: bytes, timestamp_ms: int) -> str:
        """A chunk of the caller's audio.  Nothing in it needs JSON's escapes."""
        self._sequence += 1
        self._chunks += 1
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunks}","timestamp":"{timestamp_ms}",'
            f'"payload":"{binascii.b2a_base64(mulaw, newline=False).decode()}{self._media_end}'
        )

    def dtmf(self, event: int) -> str:
        """A key that the caller pressed."""
        return _text(
            {
                "event": "dtmf",
                "streamSid": self.stream_sid,
                "sequenceNumber": self._number(),
                "dtmf": {"track": "inbound_track", "digit": KEYS[event]},
            }
        )

    def mark(self, name: str) -> str:
        """A mark of the bot that was played past, or cleared."""
        return _text(
            {
                "event": "mark",
                "sequenceNumber": self._number(),
                "streamSid": self.stream_sid,
                "mark": {"name": name},
            }
        )

    def stop(self) -> str:
        """The last message."""
        return _text(
            {
                "event": "stop",
                "sequenceNumber": self._number(),
                "stop": {"accountSid": self._account_sid, "callSid": self._call_sid},
                "streamSid": self.stream_sid,
            }
        )

    def _number(self) -> str:
        self._sequence += 1
        return str(self._sequence)


def decode_untrusted(text: str, stream_sid: str) -> BotMessage | None:
    """Decode a text of a bot for this stream; None for an event that Media Streams do not have.

    Raises BackendMisbehaved: bad_audio for a payload that is not base64, bad_text for anything else.
    """
    try:
        message = _decoder.decode(text)
    except RecursionError:
        raise _bad_text("JSON nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        if _is_unknown_event(text):
            return None
        raise _bad_text(str(error)) from None
    if message.stream_sid != stream_sid:
        raise _bad_text(f"streamSid {message.stream_sid[:40]!r} is not this stream's, which start told")
    match message:
        case _MediaText(media=media):
            return MediaMessage(_decode_payload(media.payload))
        case _MarkText(mark=mark):
            if len(mark.name.encode()) > MAX_MARK_NAME_BYTES:
                raise _bad_text(f"a mark's name is above {MAX_MARK_NAME_BYTES} bytes")
            return MarkMessage(mark.name)
        case _:
            return ClearMessage()


def _decode_payload(payload: str) -> bytes:
    try:
        return binascii.a2b_base64(payload, strict_mode=True)
    except ValueError as error:  # binascii.Error, and what is not ASCII
        raise BackendMisbehaved(
            BackendFault.BAD_AUDIO, one_line(f"media.payload is not base64 (RFC 4648 §4): {error}")
        ) from None


def _is_unknown_event(text: str) -> bool:
    """Tell an object with an event of its own from one that is wrong."""
    try:
        return _any_decoder.decode(text).event not in _BOT_EVENTS
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _bad_text(detail: str) -> BackendMisbehaved:
    return BackendMisbehaved(BackendFault.BAD_TEXT, one_line(detail))


def _text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
