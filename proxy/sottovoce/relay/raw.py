"""The `raw` adapter: the project's own contract with backends (`docs/backend-raw.md`).  Pure.

A text `start`, then one binary message for each audio frame and texts for the rest, both ways.  Bytes and structs are
`raw_messages`; socket, queue and limits are `link`'s.
"""

from sottovoce.primitives import one_line
from sottovoce.relay import raw_messages
from sottovoce.relay.call import CallEnd, CallStart, LegStatistics
from sottovoce.relay.link import Dialect, MeteredSink
from sottovoce.relay.raw_messages import ClearText, DtmfText, HangUpText, JsonText, MarkText
from sottovoce.wire import Codec


class RawDialect(Dialect):
    """The contract's messages for one call."""

    def __init__(self, start: CallStart, *, header: bool) -> None:
        """`header`: audio messages carry flags, timestamp and the count of lost frames."""
        self._start = start
        self._header = header
        self._is_data = start.receive_codec is Codec.NONE
        self._shape = raw_messages.audio_shape(start.receive_codec, start.frame_milliseconds)

    def start(self) -> list[str]:
        """The one text that opens a call."""
        return [raw_messages.encode_start(self._start, header=self._header)]

    def audio(self, payload: bytes, lost_before: int) -> bytes:
        """A frame as a binary message."""
        return raw_messages.encode_audio(payload, lost_before, header=self._header)

    def dtmf(self, event: int, duration_ms: int) -> str:
        """A key press."""
        return raw_messages.encode_dtmf(event, duration_ms)

    def mark_played(self, name: str) -> str:
        """A mark the client has played past."""
        return raw_messages.encode_mark(name)

    def mute(self, *, muted: bool) -> str:
        """The client's microphone."""
        return raw_messages.encode_mute(muted=muted)

    def json(self, data: bytes) -> str:
        """The client's JSON object."""
        return raw_messages.encode_json(data)

    def stop(self, end: CallEnd, leg: LegStatistics) -> str:
        """The call's end, with statistics."""
        return raw_messages.encode_stop(end, leg)

    def receive_text(self, text: str, sink: MeteredSink) -> None:
        """Decode and pass on.  Raises BackendMisbehaved."""
        message = raw_messages.decode_text_untrusted(text, data_session=self._is_data)
        match message:
            case MarkText(name):
                sink.mark(name)
            case DtmfText(event, duration_ms):
                sink.dtmf(event, duration_ms)
            case ClearText():
                sink.clear()
            case JsonText(value):
                sink.json(bytes(value))
            case HangUpText(reason):
                sink.hang_up = one_line(reason)

    def receive_binary(self, message: bytes, sink: MeteredSink) -> None:
        """Decode a frame and pass it on.  Raises BackendMisbehaved."""
        if self._is_data:
            sink.data(raw_messages.decode_data_untrusted(message))
        else:
            sink.audio(*raw_messages.decode_audio_untrusted(message, self._shape, header=self._header))
