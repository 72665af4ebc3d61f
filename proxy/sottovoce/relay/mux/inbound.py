"""What a backend says of one call that asks for credit: judged, metered, and told to the call's sink.  Pure."""

from typing import Final

from sottovoce.relay import raw_messages
from sottovoce.relay.call import CallSink, CallStart
from sottovoce.relay.errors import BackendFault, BackendMisbehaved
from sottovoce.relay.link import MeteredSink
from sottovoce.relay.mux import frames as mux
from sottovoce.wire import Codec, WireError, frames

WINDOW_FRAMES: Final = 256
"""What a backend may send of a call before more is granted: half of what makes a client's queue crowded."""
GRANT_FRAMES: Final = WINDOW_FRAMES // 2
GRANT_BELOW: Final = WINDOW_FRAMES - GRANT_FRAMES
_AUDIO_ONLY: Final = frozenset({mux.AUDIO, mux.DTMF, mux.MARK, mux.CLEAR})


class Inbound:
    """One call's credit and meter.  Nothing is told once it `is_deaf`."""

    __slots__ = ("_full_bytes", "_is_data", "_shape", "allowance", "is_deaf", "is_opened", "meter")

    def __init__(self, start: CallStart, sink: CallSink, now: float) -> None:
        """Begin without credit."""
        self._shape = raw_messages.audio_shape(start.receive_codec, start.frame_milliseconds)
        self._full_bytes = 1 + self._shape.max_bytes  # of a body: the common one, where frames have a size
        self._is_data = start.receive_codec is Codec.NONE
        self.meter = MeteredSink(start, sink, now)
        self.allowance = 0
        """Frames that the backend may still send."""
        self.is_opened = False
        """Whether the backend has taken the call."""
        self.is_deaf = False
        """The call has ended, for the sink."""

    def grant(self) -> int:
        """Let the backend fill the window again; give how many frames more that are."""
        count, self.allowance = WINDOW_FRAMES - self.allowance, WINDOW_FRAMES
        return count

    def hear_audio(self, buffer: bytes, at: int, end: int, now: float) -> None:
        """Take a frame of audio, whose body is from `at` to `end` of the buffer.  Raises BackendMisbehaved."""
        if self.is_deaf:
            return
        self.allowance -= 1
        if self.allowance < 0 or self._is_data:
            raise self.untimely(mux.AUDIO)
        meter = self.meter
        meter.now = now
        if end - at == self._full_bytes and not buffer[at]:
            meter.audio(buffer[at + 1 : end], 0, None)
        else:
            meter.audio(*mux.decode_audio_untrusted(buffer, at, end, self._shape))

    def hear(self, kind: int, body: bytes, now: float) -> None:
        """Take any other frame that asks for credit, of a call that is not deaf.  Raises BackendMisbehaved."""
        self.allowance -= 1
        if self.allowance < 0 or (kind in _AUDIO_ONLY if self._is_data else kind == mux.DATA):
            raise self.untimely(kind)
        meter = self.meter
        meter.now = now
        try:
            if kind == mux.DATA:
                meter.data(mux.decode_data_untrusted(body))
            elif kind == mux.DTMF:
                meter.dtmf(*frames.decode_dtmf_untrusted(body))
            elif kind == mux.MARK:
                meter.mark(frames.decode_mark_untrusted(body))
            elif kind == mux.CLEAR:
                frames.decode_clear_untrusted(body)
                meter.clear()
            else:
                meter.json(frames.decode_json_untrusted(body))
        except WireError as error:
            raise BackendMisbehaved(BackendFault.BAD_TEXT, error.reason) from None

    def untimely(self, kind: int) -> BackendMisbehaved:
        """Say what is wrong with a frame that may not come now, or not in this call."""
        if not self.is_opened:
            return BackendMisbehaved(BackendFault.BAD_FRAMING, f"{mux.named(kind)} before `opened`")
        if self.allowance < 0:
            return BackendMisbehaved(BackendFault.FLOOD, "more frames than it has credit for")
        return BackendMisbehaved(BackendFault.BAD_FRAMING, f"{mux.named(kind)} has no place in this call")
