"""Twilio's Media Streams for one call: what the client says in their messages, and what the bot answers.  Pure.

To the bot goes µ-law in chunks of 20 ms, whatever the frames of the call are; silence is sent, not left out.  From the
bot comes µ-law of any length, which `Playout` gives out in frames of the call.  Bytes and texts are `messages`.
"""

from collections.abc import Callable
from typing import Final

from sottovoce.relay import g711
from sottovoce.relay.call import CallEnd, CallStart, LegStatistics
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.relay.link import MAX_MARKS, Dialect, Later, MeteredSink, Playout
from sottovoce.relay.twilio.messages import ClearMessage, MarkMessage, MediaMessage, MessageWriter, decode_untrusted
from sottovoce.relay.twilio.options import TwilioOptions, account_sid, custom_parameters
from sottovoce.wire import Codec, frames

CHUNK_BYTES: Final = 160
"""20 ms of µ-law."""
BYTES_PER_MILLISECOND: Final = 8
CODECS: Final = frozenset({Codec.PCMU_8K, Codec.PCMA_8K, Codec.PCM16_8K})
"""What can be made of µ-law at 8 kHz, and into it, without resampling."""
MAX_MARKS_BACK: Final = 4 * MAX_MARKS
"""Marks on their way back to a bot: with the longest names, four megabytes for one that does not read."""
_GOOD_CLOSES = frozenset({1000, 1001, 1005})
"""Normal, going away, no code given (RFC 6455 §7.4.1): others tell of a fault, 1011 of one in the bot."""

_TO_MULAW: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.PCMU_8K: bytes,
    Codec.PCMA_8K: g711.alaw_to_mulaw,
    Codec.PCM16_8K: g711.pcm16_to_mulaw,
}
_FROM_MULAW: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.PCMU_8K: bytes,
    Codec.PCMA_8K: g711.mulaw_to_alaw,
    Codec.PCM16_8K: g711.mulaw_to_pcm16,
}


class TwilioDialect(Dialect):
    """The messages of one call."""

    is_paced = True

    def __init__(self, start: CallStart, options: TwilioOptions) -> None:
        """`start` names codecs of CODECS."""
        self._writer = MessageWriter(start.session_id, account_sid(options, start.route))
        self._custom_parameters = custom_parameters(options, start)
        self._to_mulaw = _TO_MULAW[start.send_codec]
        self._frame_milliseconds = start.frame_milliseconds
        self._silence = bytes([g711.MULAW_SILENCE]) * (BYTES_PER_MILLISECOND * start.frame_milliseconds)
        self._part = b""
        """Of a chunk: what was heard and not sent yet."""
        self._heard_bytes = 0
        """The stream's clock: bytes of µ-law that were heard or lost."""
        self._marks_on_their_way = 0
        self._playout = Playout(
            start.frame_milliseconds, 1000 * BYTES_PER_MILLISECOND, _FROM_MULAW[start.receive_codec]
        )

    def start(self) -> list[str]:
        """Open the stream."""
        return [self._writer.connected(), self._writer.start(self._custom_parameters)]

    def audio(self, payload: bytes, lost_before: int) -> str | list[str]:
        """Make chunks of a frame; of a short one none, perhaps."""
        codec_bytes_at = 1 + frames.TIMESTAMP_BYTES if payload[0] & frames.FLAG_TIMESTAMP else 1
        mulaw = self._to_mulaw(payload[codec_bytes_at:]) or self._silence
        if lost_before:
            self._heard_bytes += lost_before * len(self._silence)
        began = self._heard_bytes - len(self._part)
        self._heard_bytes += len(mulaw)
        if len(mulaw) == CHUNK_BYTES and not self._part:
            return self._writer.media(mulaw, began // BYTES_PER_MILLISECOND)
        heard = self._part + mulaw
        whole = len(heard) - len(heard) % CHUNK_BYTES
        self._part = heard[whole:]
        return [
            self._writer.media(heard[at : at + CHUNK_BYTES], (began + at) // BYTES_PER_MILLISECOND)
            for at in range(0, whole, CHUNK_BYTES)
        ]

    def dtmf(self, event: int, duration_ms: int) -> Later:
        """A key; for how long it was pressed has no place."""
        del duration_ms
        return Later(lambda: [self._writer.dtmf(event)])

    def mark_played(self, name: str) -> Later | None:
        """Give marks back, unless `clear` has done so."""
        names = self._playout.played(name)
        return self._marks_back(names) if names else None

    def mute(self, *, muted: bool) -> None:
        """There is no such message."""

    def json(self, data: bytes) -> None:
        """There is no such message."""

    def stop(self, end: CallEnd, leg: LegStatistics) -> Later:
        """The rest of a chunk, filled up with silence, and the end; why it ended has no place."""
        del end, leg
        return Later(self._last_texts)

    def receive_text(self, text: str, sink: MeteredSink) -> None:
        """Take a message of the bot."""
        match decode_untrusted(text, self._writer.stream_sid):
            case MediaMessage(mulaw):
                sink.dropped_frames += self._playout.put_audio(mulaw, sink.now)
            case MarkMessage(name):
                if not self._playout.put_mark(name):
                    raise BackendMisbehaved(BackendFault.FLOOD, f"more than {MAX_MARKS} marks wait to be played past")
            case ClearMessage():
                names = self._playout.clear()
                sink.clear()
                if names:
                    sink.answers.append(self._marks_back(names))
            case None:
                sink.ignore()
        if self._marks_on_their_way > MAX_MARKS_BACK:
            raise BackendMisbehaved(
                BackendFault.FLOOD, f"more than {MAX_MARKS_BACK} marks came back, and it did not read them"
            )
        self.fire(sink)

    def receive_binary(self, message: bytes, sink: MeteredSink) -> None:
        """There are no binary messages."""
        del sink
        raise BackendMisbehaved(
            BackendFault.BAD_AUDIO, f"a binary message of {len(message)} bytes; audio goes in media"
        )

    def closed(self, code: int, sink: MeteredSink) -> None:
        """Closing is how a bot ends the stream; what it has not had played is not played."""
        if code in _GOOD_CLOSES:
            sink.hang_up = f"closed the WebSocket, code {code}"

    def deadline(self) -> float | None:
        """When more audio is due."""
        return self._playout.deadline()

    def fire(self, sink: MeteredSink) -> None:
        """Pass on what is due."""
        for item in self._playout.take(sink.now):
            if isinstance(item, bytes):
                sink.audio(item, 0, None)
            else:
                sink.mark(item)

    def _marks_back(self, names: list[str]) -> Later:
        self._marks_on_their_way += len(names)
        return Later(lambda: self._mark_texts(names))

    def _mark_texts(self, names: list[str]) -> list[str]:
        self._marks_on_their_way -= len(names)
        return [self._writer.mark(name) for name in names]

    def _last_texts(self) -> list[str]:
        texts: list[str] = []
        if self._part:
            began = (self._heard_bytes - len(self._part)) // BYTES_PER_MILLISECOND
            texts.append(self._writer.media(self._part.ljust(CHUNK_BYTES, bytes([g711.MULAW_SILENCE])), began))
        return [*texts, self._writer.stop()]
