"""The built-in `echo` route: a backend that answers everything at once.

Audio goes back frame by frame with its flags and timestamp; dtmf, json and data go back as they came.  Mute is heard
and ignored; a mark never comes, since only a backend sends marks and echo does not.  Nothing waits: the answer is
pushed into the sink before the leg's method returns.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from sottovoce.relay.call import CallEnd, CallSink, CallStart, Leg, LegStatistics
from sottovoce.wire import Codec, frames


class EchoLeg:
    """One call's echo.  After `stop` it is silent."""

    def __init__(self, sink: CallSink) -> None:
        """Answer into `sink`."""
        self._sink = sink
        self._frames = 0
        self._stopped = False

    def audio(self, payload: bytes, lost_before: int) -> None:  # noqa: ARG002  a hole has nothing to echo
        """Return the frame."""
        if not self._stopped:
            self._frames += 1
            flags, timestamp, codec_bytes = frames.decode_audio_untrusted(payload)
            self._sink.audio(codec_bytes, flags, timestamp)

    def data(self, data: bytes) -> None:
        """Return the data."""
        if not self._stopped:
            self._frames += 1
            self._sink.data(data)

    def dtmf(self, event: int, duration_ms: int) -> None:
        """Return the key press."""
        if not self._stopped:
            self._sink.dtmf(event, duration_ms)

    def mark_played(self, name: str) -> None:
        """Nothing to do: echo sets no marks."""

    def mute(self, *, muted: bool) -> None:
        """Nothing to do."""

    def json(self, data: bytes) -> None:
        """Return the object."""
        if not self._stopped:
            self._sink.json(data)

    def flush(self) -> None:
        """Nothing waits here; what was answered is the sink's."""

    def stop(self, end: CallEnd) -> None:  # noqa: ARG002  nobody to tell
        """Fall silent."""
        self.fall_silent()

    def fall_silent(self) -> None:
        """Answer nothing more."""
        self._stopped = True

    @property
    def statistics(self) -> LegStatistics:
        """As many out as in."""
        return LegStatistics(
            frames_to_backend=self._frames,
            frames_from_backend=self._frames,
            frames_dropped_to_backend=0,
            frames_dropped_from_backend=0,
        )


class EchoRoute:
    """The route to nowhere and back, for tests and for a first call."""

    codecs = frozenset(Codec)
    warnings: tuple[str, ...] = ()
    plaintext_network = False

    def __init__(self, name: str) -> None:
        """Echo under this name."""
        self.name = name

    @asynccontextmanager
    async def connect(self, start: CallStart, sink: CallSink) -> AsyncGenerator[Leg]:  # noqa: ARG002  one of Route
        """Connect a call; this cannot fail."""
        await trio.lowlevel.checkpoint()
        leg = EchoLeg(sink)
        try:
            yield leg
        finally:
            leg.fall_silent()
