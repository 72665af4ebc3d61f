"""AudioSocket for one call: what the client says in its messages, and what the server answers.  Pure.

To the server go linear samples in chunks of 20 ms, whatever the frames of the call are; silence is sent, not left out.
From the server come samples of any length, which `Playout` gives out in frames of the call: servers that send a whole
sentence at once are heard at the speed of speech, those that send in real time at once.
"""

from collections.abc import Callable
from typing import Final

from sottovoce.relay import g711
from sottovoce.relay.audiosocket.framing import HANG_UP_CODE, Kind
from sottovoce.relay.audiosocket.options import AudioSocketOptions
from sottovoce.relay.call import CallEnd, CallStart, LegStatistics
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.relay.link import Dialect, Later, MeteredSink, Playout
from sottovoce.wire import Codec, frames

KEYS: Final = b"0123456789*#ABCD"
"""Of RFC 4733's events 0 to 15."""
KEY_MILLISECONDS: Final = 100
"""How long a server's key is pressed at the client: AudioSocket does not say."""
CHUNK_MILLISECONDS: Final = 20
_KINDS: Final = {8_000: Kind.SLIN_8K, 16_000: Kind.SLIN_16K, 24_000: Kind.SLIN_24K, 48_000: Kind.SLIN_48K}
_AUDIO: Final = range(Kind.SLIN_8K, Kind.SLIN_192K + 1)

_Convert = Callable[[bytes], bytes]


def _whole_samples(data: bytes) -> bytes:
    """Half a sample at the end is left out."""
    return data[: len(data) & ~1]


_CONVERSIONS: Final[dict[Codec, tuple[_Convert, _Convert]]] = {
    Codec.PCMU_8K: (g711.mulaw_to_pcm16, g711.pcm16_to_mulaw),
    Codec.PCMA_8K: (g711.alaw_to_pcm16, g711.pcm16_to_alaw),
    Codec.PCM16_8K: (_whole_samples, bytes),
    Codec.PCM16_16K: (_whole_samples, bytes),
    Codec.PCM16_24K: (_whole_samples, bytes),
    Codec.PCM16_48K: (_whole_samples, bytes),
}
"""To linear samples, and from them."""


def codecs_of(options: AudioSocketOptions) -> frozenset[Codec]:
    """The codecs that a server of these options can be spoken to in, without resampling."""
    return frozenset(codec for codec in _CONVERSIONS if codec.sample_rate in options.rates)


class AudioSocketDialect(Dialect):
    """The messages of one call."""

    is_paced = True

    def __init__(self, start: CallStart) -> None:
        """`start` names codecs of `codecs_of`."""
        self._uuid = _uuid_of(start.session_id)
        self._to_linear = _CONVERSIONS[start.send_codec][0]
        rate = start.send_codec.sample_rate
        self._kind = bytes([_KINDS[rate]])
        self._chunk_bytes = 2 * rate * CHUNK_MILLISECONDS // 1000
        self._silence = bytes(2 * rate * start.frame_milliseconds // 1000)
        self._part = b""
        """Of a chunk: what was heard and not sent yet."""
        reply_rate = start.receive_codec.sample_rate
        self._reply_kind = _KINDS[reply_rate]
        self._playout = Playout(start.frame_milliseconds, 2 * reply_rate, _CONVERSIONS[start.receive_codec][1])

    def start(self) -> list[bytes]:
        """Say which call this is."""
        return [bytes([Kind.UUID]) + self._uuid]

    def audio(self, payload: bytes, lost_before: int) -> bytes | list[bytes]:
        """Make chunks of a frame; of a short one none, perhaps.  A hole has no place: there is no clock."""
        del lost_before
        codec_bytes_at = 1 + frames.TIMESTAMP_BYTES if payload[0] & frames.FLAG_TIMESTAMP else 1
        heard = self._part + (self._to_linear(payload[codec_bytes_at:]) or self._silence)
        size = self._chunk_bytes
        if len(heard) == size:
            self._part = b""
            return self._kind + heard
        whole = len(heard) - len(heard) % size
        self._part = heard[whole:]
        return [self._kind + heard[at : at + size] for at in range(0, whole, size)]

    def dtmf(self, event: int, duration_ms: int) -> bytes:
        """A key; for how long it was pressed has no place."""
        del duration_ms
        return bytes([Kind.DTMF, KEYS[event]])

    def mark_played(self, name: str) -> None:
        """There are no marks."""

    def mute(self, *, muted: bool) -> None:
        """There is no such message."""

    def json(self, data: bytes) -> None:
        """There is no such message."""

    def stop(self, end: CallEnd, leg: LegStatistics) -> Later:
        """The rest of a chunk, filled up with silence; the hang-up behind it is the framing's."""
        del end, leg
        return Later(self._last_chunk)

    def receive_text(self, text: str, sink: MeteredSink) -> None:
        """There are no texts."""
        del text, sink

    def receive_binary(self, message: bytes, sink: MeteredSink) -> None:
        """Take a message of the server: its type's byte and the payload."""
        kind, payload = message[0], message[1:]
        if kind == self._reply_kind and payload:
            if len(payload) & 1:
                raise BackendMisbehaved(BackendFault.BAD_AUDIO, f"{len(payload)} bytes of audio end in half a sample")
            sink.dropped_frames += self._playout.put_audio(payload, sink.now)
            self.fire(sink)
        elif kind in _AUDIO and payload:
            raise BackendMisbehaved(
                BackendFault.BAD_AUDIO, f"audio of type 0x{kind:02x}; this call's is 0x{self._reply_kind:02x}"
            )
        elif kind == Kind.DTMF:
            sink.dtmf(_event_of(payload), KEY_MILLISECONDS)
        elif kind == Kind.ERROR:
            raise BackendMisbehaved(BackendFault.FAILED, f"it sent an error, code {payload[:8].hex() or 'none'}")
        elif kind == Kind.UUID or kind in _AUDIO:
            sink.ignore()
        else:
            raise BackendMisbehaved(BackendFault.BAD_FRAMING, f"a message of type 0x{kind:02x}, which there is not")

    def closed(self, code: int, sink: MeteredSink) -> None:
        """A hang-up; what the server has not had played is not played."""
        sink.hang_up = "hung up" if code == HANG_UP_CODE else "closed the connection"

    def deadline(self) -> float | None:
        """When more audio is due."""
        return self._playout.deadline()

    def fire(self, sink: MeteredSink) -> None:
        """Pass on what is due."""
        for item in self._playout.take(sink.now):
            if isinstance(item, bytes):
                sink.audio(item, 0, None)

    def _last_chunk(self) -> list[bytes]:
        part, self._part = self._part, b""
        return [self._kind + part.ljust(self._chunk_bytes, b"\0")] if part else []


def _uuid_of(session_id: bytes) -> bytes:
    """Make a UUID of version 8 (RFC 9562 §5.8), whose 122 free bits are the session id's."""
    value = int.from_bytes(session_id)
    value &= ~(0xF << 76 | 0b11 << 62)
    return (value | 8 << 76 | 0b10 << 62).to_bytes(16)


def _event_of(payload: bytes) -> int:
    event = KEYS.find(payload.upper())
    if len(payload) != 1 or event < 0:
        raise BackendMisbehaved(BackendFault.BAD_TEXT, f"a key of {len(payload)} bytes that is none of 0-9 * # A-D")
    return event
