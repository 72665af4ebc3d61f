"""A stream of Twilio's for tests: its call, its dialect, and what the vendor's page says of every message."""

import base64
import json
from typing import Any

import jsonschema
import msgspec

from sottovoce.relay import CallStart, TwilioOptions
from sottovoce.relay.link import Later, MeteredSink
from sottovoce.relay.twilio import TwilioDialect
from sottovoce.wire import Codec, frames
from tests.relay.calls import START, RecordingSink
from tests.vector_report import VECTORS

FOLDER = VECTORS / "twilio"
STREAM = "MZ" + START.session_id.hex()
SCHEMA: dict[str, Any] = json.loads((FOLDER / "schema.json").read_text())


def validator(direction: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{direction}", "$defs": SCHEMA["$defs"]})


TO_BOT = validator("to-bot")
FROM_BOT = validator("from-bot")


def starting(codec: Codec = Codec.PCMU_8K, frame_ms: int = 20, **changes: Any) -> CallStart:
    return msgspec.structs.replace(START, send_codec=codec, receive_codec=codec, frame_milliseconds=frame_ms, **changes)


def checked(message: str | bytes) -> dict[str, Any]:
    """Hold a message for a bot against the schema, and read it."""
    read: dict[str, Any] = json.loads(message)
    TO_BOT.validate(read)
    return read


def from_bot(event: str, **members: object) -> str:
    message = {"event": event, "streamSid": STREAM, **members}
    FROM_BOT.validate(message)
    return json.dumps(message)


def media(mulaw: bytes) -> str:
    return from_bot("media", media={"payload": base64.b64encode(mulaw).decode()})


def mark(name: str) -> str:
    return from_bot("mark", mark={"name": name})


def payload_of(message: dict[str, Any]) -> bytes:
    return base64.b64decode(message["media"]["payload"], validate=True)


class Streaming:
    """A dialect with its sink, and the texts that it made, each checked."""

    def __init__(self, start: CallStart = START, options: TwilioOptions | None = None) -> None:
        self.sink = RecordingSink()
        self.metered = MeteredSink(start, self.sink, 0.0)
        self.dialect = TwilioDialect(start, options or TwilioOptions())
        self.texts = [checked(text) for text in self.dialect.start()]

    def say(self, codec_bytes: bytes, lost_before: int = 0) -> None:
        """A frame of the client."""
        made = self.dialect.audio(frames.encode_audio(codec_bytes, 0, None), lost_before)
        self.texts += [checked(text) for text in ([made] if isinstance(made, str) else made)]

    def put(self, message: str | bytes | Later | None) -> None:
        """What the leg does with a text: it is finished when it leaves."""
        if message is not None:
            self.texts += [checked(text) for text in (message.messages() if isinstance(message, Later) else [message])]

    def hear(self, message: str | bytes) -> None:
        """A message of the bot."""
        if isinstance(message, bytes):
            self.dialect.receive_binary(message, self.metered)
        else:
            self.dialect.receive_text(message, self.metered)
        answers, self.metered.answers = self.metered.answers, []
        for answer in answers:
            self.put(answer)

    def run_until(self, end: float) -> None:
        """Fire whenever it is time."""
        while (deadline := self.dialect.deadline()) is not None and deadline <= end:
            self.metered.now = max(self.metered.now, deadline)
            self.dialect.fire(self.metered)
        self.metered.now = end

    @property
    def given(self) -> bytes:
        """All codec bytes that the client was given."""
        return b"".join(told[1] for told in self.sink.named("audio"))  # type: ignore[misc]  # of (what, bytes, …)

    @property
    def marks(self) -> list[str]:
        """The names of marks that the bot got back."""
        return [text["mark"]["name"] for text in self.texts if text["event"] == "mark"]
