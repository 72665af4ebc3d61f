"""The Realtime dialect for tests: its call, and what the vendor's pages say of every event."""

import base64
import json
from typing import Any

import jsonschema
import msgspec

from sottovoce.relay import CallStart, RealtimeOptions
from sottovoce.relay.link import Later, MeteredSink
from sottovoce.relay.realtime import RealtimeDialect, session_of
from sottovoce.wire import Codec, frames
from tests.relay.calls import START, RecordingSink
from tests.vector_report import VECTORS

FOLDER = VECTORS / "realtime"
SCHEMA: dict[str, Any] = json.loads((FOLDER / "schema.json").read_text())


def validator(direction: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{direction}", "$defs": SCHEMA["$defs"]})


TO_SERVER = validator("to-server")
TO_SERVER_BETA = validator("to-server-beta")


def starting(codec: Codec = Codec.PCM16_24K, frame_ms: int = 20, **changes: Any) -> CallStart:
    codecs = {"send_codec": codec, "receive_codec": codec} | changes
    return msgspec.structs.replace(START, frame_milliseconds=frame_ms, **codecs)


def checked(message: str | bytes, schema: Any = TO_SERVER) -> dict[str, Any]:
    """Hold an event for a server against the schema, and read it."""
    read: dict[str, Any] = json.loads(message)
    schema.validate(read)
    return read


def delta(pcm16: bytes, item: str = "item_1", response: str = "resp_1", part: int = 0) -> str:
    return json.dumps(
        {
            "type": "response.output_audio.delta",
            "event_id": "event_1",
            "response_id": response,
            "item_id": item,
            "output_index": 0,
            "content_index": part,
            "delta": base64.b64encode(pcm16).decode(),
        }
    )


def created(response: str = "resp_1") -> str:
    return json.dumps({"type": "response.created", "event_id": "event_2", "response": {"id": response}})


def done(response: str = "resp_1") -> str:
    return json.dumps({"type": "response.done", "event_id": "event_3", "response": {"id": response}})


SPEECH = json.dumps(
    {"type": "input_audio_buffer.speech_started", "event_id": "event_4", "item_id": "item_u", "audio_start_ms": 10}
)


class Conversing:
    """A dialect with its sink, and the texts that it made, each checked."""

    def __init__(
        self, start: CallStart | None = None, options: RealtimeOptions | None = None, given: bytes = b"{}"
    ) -> None:
        start, options = start or starting(), options or RealtimeOptions()
        self._schema = {"ga": TO_SERVER, "beta": TO_SERVER_BETA}[options.dialect] if options.rate == 24_000 else None
        self.sink = RecordingSink()
        self.metered = MeteredSink(start, self.sink, 0.0)
        self.dialect = RealtimeDialect(start, session_of(options, given), options)
        self.texts: list[dict[str, Any]] = []
        for text in self.dialect.start():
            self.put(text)

    def say(self, codec_bytes: bytes, lost_before: int = 0) -> None:
        """A frame of the client."""
        self.put(self.dialect.audio(frames.encode_audio(codec_bytes, 0, None), lost_before))

    def put(self, message: str | bytes | Later) -> None:
        assert isinstance(message, str)
        self.texts.append(json.loads(message) if self._schema is None else checked(message, self._schema))

    def hear(self, message: str | bytes) -> None:
        """A message of the server."""
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
    def heard(self) -> bytes:
        """All samples that the server got."""
        return b"".join(base64.b64decode(text["audio"], validate=True) for text in self.texts if "audio" in text)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [text for text in self.texts if text["type"] == kind]
