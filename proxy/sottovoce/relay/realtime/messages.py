"""The events of the Realtime dialect, both ways, as text.  Pure.

The source is OpenAI's API reference, "Realtime client events" and "Realtime server events"
(https://platform.openai.com/docs/api-reference/realtime-client-events, …/realtime-server-events).  Of a server's events
those are read that a call has to act on, by their GA names and by those of the beta; any others are told apart by their
type alone.  Members that we do not need are not looked at, and ids that a server leaves out are empty.
"""

import binascii
from typing import Annotated, Final

import msgspec

from sottovoce.primitives import one_line
from sottovoce.relay.errors import BackendFault, BackendMisbehaved

MAX_MESSAGE_BYTES: Final = 1_048_576
"""The largest text taken from a server: 16 s of audio at 24 kHz in one delta, or a session's whole description."""
MAX_ID_CHARACTERS: Final = 512
SESSION_EVENT_ID: Final = "sottovoce_session"
"""The id of our session.update, which an error about it names."""

_Id = Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARACTERS)]


class AudioDelta(msgspec.Struct, frozen=True):
    """Audio of the model, in base64, of one part of one item."""

    delta: str
    item_id: _Id = ""
    content_index: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    response_id: _Id = ""


class SpeechStarted(msgspec.Struct, frozen=True):
    """The server hears the caller speak."""


class _Response(msgspec.Struct, frozen=True):
    id: _Id = ""


class ResponseCreated(msgspec.Struct, frozen=True):
    """The model begins to answer."""

    response: _Response = _Response()


class ResponseDone(msgspec.Struct, frozen=True):
    """The model has answered, or has not: what became of it does not change the call."""

    response: _Response = _Response()


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(msgspec.Struct, frozen=True):
    """Something went wrong; most errors leave the session as it is.  Its message may hold anything and is left out."""

    error: _Error

    @property
    def is_about_session(self) -> bool:
        """Whether the session is not what the call needs."""
        return self.error.event_id == SESSION_EVENT_ID

    @property
    def detail(self) -> str:
        """Type, code and parameter, for the log."""
        words = (self.error.type, self.error.code, self.error.param)
        return one_line(", ".join(word[:100] for word in words if word) or "it did not say which")


ServerEvent = AudioDelta | SpeechStarted | ResponseCreated | ResponseDone | ErrorEvent


class _AnyEvent(msgspec.Struct, frozen=True):
    type: str


_any_decoder = msgspec.json.Decoder(_AnyEvent)
_DECODERS: Final[dict[str, msgspec.json.Decoder[ServerEvent]]] = {
    "response.output_audio.delta": msgspec.json.Decoder(AudioDelta),
    "response.audio.delta": msgspec.json.Decoder(AudioDelta),
    "input_audio_buffer.speech_started": msgspec.json.Decoder(SpeechStarted),
    "response.created": msgspec.json.Decoder(ResponseCreated),
    "response.done": msgspec.json.Decoder(ResponseDone),
    "error": msgspec.json.Decoder(ErrorEvent),
}


def decode_untrusted(text: str) -> ServerEvent | None:
    """Decode an event of a server; None for one that a call does not act on.  Raises BackendMisbehaved, bad_text."""
    try:
        decoder = _DECODERS.get(_any_decoder.decode(text).type)
        return None if decoder is None else decoder.decode(text)
    except RecursionError:
        raise _bad_text("JSON nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _bad_text(str(error)) from None


def audio_untrusted(delta: AudioDelta, bytes_per_sample: int) -> bytes:
    """Decode samples.  Raises BackendMisbehaved, bad_audio."""
    try:
        samples = binascii.a2b_base64(delta.delta, strict_mode=True)
    except ValueError as error:  # binascii.Error, and what is not ASCII
        raise BackendMisbehaved(
            BackendFault.BAD_AUDIO, one_line(f"delta is not base64 (RFC 4648 §4): {error}")
        ) from None
    if len(samples) % bytes_per_sample:
        raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"a delta of {len(samples)} bytes ends in half a sample")
    return samples


def session_update(session: dict[str, object]) -> str:
    """Ask for a session; the id is said back with an error about it."""
    return _text({"type": "session.update", "event_id": SESSION_EVENT_ID, "session": session})


def audio_append(samples: bytes) -> str:
    """The caller's audio.  Nothing in it needs JSON's escapes."""
    return '{"type":"input_audio_buffer.append","audio":"' + binascii.b2a_base64(samples, newline=False).decode() + '"}'


def response_create() -> str:
    """Ask for an answer to what has been said so far."""
    return _text({"type": "response.create"})


def response_cancel(response_id: str) -> str:
    """Stop an answer."""
    which: dict[str, object] = {"response_id": response_id} if response_id else {}
    return _text({"type": "response.cancel"} | which)


def item_truncate(item_id: str, content_index: int, audio_end_ms: int) -> str:
    """Tell how much of an item the caller has heard."""
    return _text(
        {
            "type": "conversation.item.truncate",
            "item_id": item_id,
            "content_index": content_index,
            "audio_end_ms": audio_end_ms,
        }
    )


def _bad_text(detail: str) -> BackendMisbehaved:
    return BackendMisbehaved(BackendFault.BAD_TEXT, one_line(detail))


def _text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
