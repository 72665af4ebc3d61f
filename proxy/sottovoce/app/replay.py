"""A recording through a call, in real time, and what can be said of it afterwards.

Each frame has an instant at which it is due.  Latency is counted from there and not from when we came to send it, so
that a sender that falls behind cannot hide a delay (`late` is how far it ever did).  The k-th frame that comes back is
taken for the k-th that was sent: the way is ordered, and routes are expected to echo unless `echo` is false.
"""

import math
from collections.abc import Callable, Sequence

import msgspec
import trio

from sottovoce.app.wav import Recording
from sottovoce.client import Audio, Call, Ended, Statistics

TAIL_SECONDS = 3.0
"""How long the last frames may take to come back."""
Progress = Callable[[int, int, int], None]
"""Told frames sent, frames returned, and frames in all; about ten times a second."""

_PROGRESS_EVERY = 5


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a recording."""

    statistics: Statistics
    ended: Ended | None
    returned: Recording
    frames_sent: int
    frames_returned: int
    frames_lost: int
    latencies_ms: tuple[float, ...]
    """Of each returned frame, from its due instant."""
    late_ms: float
    """The most by which a frame was sent after its due instant."""

    def latency_ms(self, share: float) -> float | None:
        """Give the latency that this share of the frames kept within; None without frames."""
        ordered = sorted(self.latencies_ms)
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


async def replay(
    call: Call, recording: Recording, *, frame_ms: int = 20, echo: bool = True, progress: Progress | None = None
) -> Replay:
    """Send a recording, collect what comes back, hang up.  Raises CallError when the call ends otherwise."""
    return await _Replaying(call, recording, frame_ms, progress).run(echo=echo)


class _Replaying:
    def __init__(self, call: Call, recording: Recording, frame_ms: int, progress: Progress | None) -> None:
        self._call = call
        self._rate = recording.rate
        self._frames = recording.frames(frame_ms)
        self._frame_seconds = frame_ms / 1000
        self._progress = progress
        self._sent = 0
        self._late = 0.0
        self._due: list[float] = []
        self._latencies: list[float] = []
        self._returned: list[bytes] = []
        self._ended: Ended | None = None
        self._has_all = trio.Event()

    async def run(self, *, echo: bool) -> Replay:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive)
                await self._send(self._frames)
                with trio.move_on_after(TAIL_SECONDS if echo else 0):
                    await self._has_all.wait()
                await self._call.close()
        except BaseExceptionGroup as group:
            # Both tasks may hear of the call's end; it is one fault.
            if len(set(map(repr, group.exceptions))) == 1:
                raise group.exceptions[0] from None
            raise
        statistics = self._call.statistics
        missing = self._sent - len(self._returned) if echo else 0
        return Replay(
            statistics=statistics,
            ended=self._ended,
            returned=Recording(b"".join(self._returned), self._rate),
            frames_sent=self._sent,
            frames_returned=len(self._returned),
            frames_lost=max(missing, statistics.frames_dropped),
            latencies_ms=tuple(self._latencies),
            late_ms=self._late * 1000,
        )

    async def _send(self, frames: Sequence[bytes]) -> None:
        start = trio.current_time()
        for number, frame in enumerate(frames):
            due = start + number * self._frame_seconds
            await trio.sleep_until(due)
            self._late = max(self._late, trio.current_time() - due)
            self._due.append(due)
            await self._call.send(frame)
            self._sent += 1
            if self._progress is not None and (number % _PROGRESS_EVERY == 0 or self._sent == len(frames)):
                self._progress(self._sent, len(self._returned), len(frames))

    async def _receive(self) -> None:
        async for item in self._call:
            match item:
                case Audio(payload=frame):
                    number = len(self._returned)
                    if number < len(self._due):
                        self._latencies.append((trio.current_time() - self._due[number]) * 1000)
                    self._returned.append(frame)
                    if len(self._returned) >= len(self._frames):
                        self._has_all.set()
                case Ended():
                    self._ended = item
                case _:
                    pass
        self._has_all.set()
