"""The Realtime dialect for one call: what the client says in its events, and what the model answers.  Pure.

To the server goes every frame as it comes, in the session's format (`formats`).  From the server comes audio faster
than it can be played, which `Playout` gives out in frames of the call.  When the server hears the caller break in, what
was not played is taken back, the answer is cancelled, and the server is told how much of it was heard.
"""

from typing import Final

from sottovoce.relay.call import CallEnd, CallStart, LegStatistics
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.relay.link import Dialect, MeteredSink, Playout
from sottovoce.relay.realtime import messages
from sottovoce.relay.realtime.formats import format_to_client, format_to_server, with_formats
from sottovoce.relay.realtime.messages import AudioDelta, ErrorEvent, ResponseCreated, ResponseDone, SpeechStarted
from sottovoce.relay.realtime.options import RealtimeOptions
from sottovoce.relay.realtime.spoken import Spoken
from sottovoce.session import TokenBucket
from sottovoce.wire import frames

EVENTS_PER_SECOND: Final = 500.0
EVENT_BURST: Final = 5_000.0
"""Events that a call does not act on: a model says every word of its transcript, as fast as it makes the audio."""
_GOOD_CLOSES: Final = frozenset({1000, 1001, 1005})
"""Normal, going away, no code given (RFC 6455 §7.4.1): others tell of a fault."""


class RealtimeDialect(Dialect):
    """The events of one call."""

    is_paced = True

    def __init__(self, start: CallStart, session: dict[str, object], options: RealtimeOptions) -> None:
        """`start` names codecs of `formats.CODECS`; `session` is what `session_of` gives."""
        heard = format_to_server(start.send_codec, options, start.frame_milliseconds)
        said = format_to_client(start.receive_codec, options)
        asked = messages.session_update(with_formats(session, options, heard, said))
        self._opening = [asked, *[messages.response_create()] * options.speaks_first]
        self._to_server = heard.convert
        self._bytes_per_sample = said.bytes_per_sample
        self._playout = Playout(start.frame_milliseconds, said.bytes_per_second, said.convert)
        self._spoken = Spoken(said.bytes_per_second)
        self._response: str | None = None
        """The id of the answer that is being made."""
        self._interrupted = ""
        """The id of the answer that was cancelled last: what still comes of it is not played."""
        self._events: TokenBucket | None = None

    def start(self) -> list[str]:
        """Ask for a session with the call's audio, and for a greeting, if so wished."""
        return self._opening

    def audio(self, payload: bytes, lost_before: int) -> str:
        """A frame; silence is sent and not left out.  A hole has no place."""
        del lost_before
        codec_bytes_at = 1 + frames.TIMESTAMP_BYTES if payload[0] & frames.FLAG_TIMESTAMP else 1
        return messages.audio_append(self._to_server(payload[codec_bytes_at:]))

    def dtmf(self, event: int, duration_ms: int) -> None:
        """There is no such event over WebSocket."""

    def mark_played(self, name: str) -> None:
        """There are no marks."""

    def mute(self, *, muted: bool) -> None:
        """There is no such event."""

    def json(self, data: bytes) -> None:
        """There is no such event, and a client must not write those that there are."""

    def stop(self, end: CallEnd, leg: LegStatistics) -> None:
        """There is no such event: closing the WebSocket ends the session."""

    def receive_text(self, text: str, sink: MeteredSink) -> None:
        """Take an event of the server."""
        match messages.decode_untrusted(text):
            case AudioDelta() as delta:
                self._take_audio(delta, sink)
            case SpeechStarted():
                self._break_in(sink)
            case ResponseCreated(response):
                self._response = response.id
                self._count(sink)
            case ResponseDone():
                self._response = None
                self._count(sink)
            case ErrorEvent(is_about_session=True) as error:
                raise BackendMisbehaved(BackendFault.FAILED, f"it refused the session: {error.detail}")
            case _:
                self._count(sink)
        self.fire(sink)

    def receive_binary(self, message: bytes, sink: MeteredSink) -> None:
        """There are no binary messages."""
        del sink
        raise BackendMisbehaved(
            BackendFault.BAD_AUDIO,
            f"a binary message of {len(message)} bytes; audio goes in response.output_audio.delta",
        )

    def closed(self, code: int, sink: MeteredSink) -> None:
        """Closing is how a server ends a session, when its time is over, say."""
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

    def _take_audio(self, delta: AudioDelta, sink: MeteredSink) -> None:
        if delta.response_id and delta.response_id == self._interrupted:
            self._count(sink)
            return
        samples = messages.audio_untrusted(delta, self._bytes_per_sample)
        if not samples:
            self._count(sink)
            return
        before = self._playout.waiting_bytes
        sink.dropped_frames += self._playout.put_audio(samples, sink.now)
        self._spoken.add(delta.item_id, delta.content_index, self._playout.waiting_bytes - before)

    def _break_in(self, sink: MeteredSink) -> None:
        """Take back what was not played; stop what is being said."""
        unplayed_bytes = self._playout.unplayed_bytes(sink.now)
        if self._response is None and not unplayed_bytes:
            self._count(sink)
            return
        if self._response is not None:
            self._interrupted = self._response
            sink.answers.append(messages.response_cancel(self._response))
            self._response = None
        sink.answers += [messages.item_truncate(*cut) for cut in self._spoken.cut(unplayed_bytes)]
        self._playout.clear()
        sink.clear()

    def _count(self, sink: MeteredSink) -> None:
        """Count an event that nothing is done for, so that there cannot be too many of them."""
        if self._events is None:
            self._events = TokenBucket(EVENTS_PER_SECOND, EVENT_BURST, sink.now)
        if not self._events.take(sink.now):
            raise BackendMisbehaved(
                BackendFault.FLOOD, f"more than {EVENTS_PER_SECOND:g} events a second (burst {EVENT_BURST:g})"
            )
