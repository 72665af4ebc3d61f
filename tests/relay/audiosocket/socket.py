"""AudioSocket for tests: its bytes read by hand, and what the vendor's page says of every message."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
import msgspec

from sottovoce.relay import CallStart
from sottovoce.relay.audiosocket import AudioSocketDialect
from sottovoce.relay.audiosocket.framing import AudioSocketFraming
from sottovoce.relay.link import Later, MeteredSink
from sottovoce.transport import PeerClosed, WsFailed
from sottovoce.wire import Codec, frames
from tests.relay.calls import START, RecordingSink
from tests.vector_report import VECTORS

FOLDER = VECTORS / "audiosocket"
SCHEMA: dict[str, Any] = json.loads((FOLDER / "schema.json").read_text())


def validator(direction: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{direction}", "$defs": SCHEMA["$defs"]})


TO_SERVER = validator("to-server")
FROM_SERVER = validator("from-server")


def starting(codec: Codec = Codec.PCM16_8K, frame_ms: int = 20, **changes: Any) -> CallStart:
    codecs = {"send_codec": codec, "receive_codec": codec} | changes
    return msgspec.structs.replace(START, frame_milliseconds=frame_ms, **codecs)


def split(data: bytes) -> Iterator[dict[str, Any]]:
    """Read messages of the proxy's, each held against the schema; the bytes must be whole messages."""
    while data:
        length = data[1] * 256 + data[2]
        payload, rest = data[3 : 3 + length], data[3 + length :]
        assert len(payload) == length
        message = {"type": data[0], "payload": payload.hex()}
        TO_SERVER.validate(message)
        yield message
        data = rest


def audio(pcm16: bytes, kind: int = 0x10) -> bytes:
    """A message of a server."""
    return bytes([kind, *divmod(len(pcm16), 256)]) + pcm16


def sound_of(messages: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(bytes.fromhex(message["payload"]) for message in messages if 16 <= message["type"] <= 24)


class Speaking:
    """A dialect over its framing, with its sink; what it wrote is read by hand."""

    def __init__(self, start: CallStart | None = None) -> None:
        start = start or starting()
        self.sink = RecordingSink()
        self.metered = MeteredSink(start, self.sink, 0.0)
        self.dialect = AudioSocketDialect(start)
        self.framing = AudioSocketFraming()
        for message in self.dialect.start():
            self.framing.send_binary(message)

    def say(self, codec_bytes: bytes, lost_before: int = 0) -> None:
        """A frame of the client."""
        made = self.dialect.audio(frames.encode_audio(codec_bytes, 0, None), lost_before)
        for message in [made] if isinstance(made, bytes) else made:
            self.framing.send_binary(message)

    def put(self, message: bytes | Later) -> None:
        """What the leg does with a message."""
        for each in message.messages() if isinstance(message, Later) else [message]:
            assert isinstance(each, bytes)
            self.framing.send_binary(each)

    def written(self) -> list[dict[str, Any]]:
        return list(split(self.framing.to_send()))

    def hear(self, data: bytes, *, ended: bool = False) -> list[WsFailed]:
        """Bytes of the server, and the end of the connection; gives what was wrong with them as such."""
        failures: list[WsFailed] = []
        for event in [*self.framing.receive(data), *(self.framing.receive_eof() if ended else [])]:
            if isinstance(event, bytes):
                self.dialect.receive_binary(event, self.metered)
            elif isinstance(event, PeerClosed):
                self.dialect.closed(event.code, self.metered)
            else:
                assert isinstance(event, WsFailed)
                failures.append(event)
        return failures

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
