"""A recording through a call, in real time, and what can be said of it afterwards.

Each frame has an instant at which it is due.  Latency is counted from there and not from when we came to send it, so
that a sender that falls behind cannot hide a delay (`late` is how far it ever did).  The k-th frame that comes back is
taken for the k-th that was sent: the way is ordered, and routes are expected to echo unless `echo` is false.

Over several calls (`replay_over`) the recording goes on with the frame that was due next, from a new start.  Frames
that had not come back when a call was lost are lost: nothing is sent twice.
"""

import math
from collections.abc import Callable

import msgspec
import trio

from sottovoce.app.wav import Recording
from sottovoce.client import Audio, Call, Calls, Ended, Statistics

TAIL_SECONDS = 3.0
"""How long the last frames may take to come back."""
SILENCE_SECONDS = 5.0
"""A backend that says nothing for so long is worth a word, even where nothing need come back."""
Progress = Callable[[int, int, int], None]
"""Told frames sent, frames returned, and frames in all; about ten times a second."""

_PROGRESS_EVERY = 5


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a recording."""

    statistics: Statistics
    """Of the last call; keys, and frames dropped here, of all."""
    ended: Ended | None
    returned: Recording
    frames_sent: int
    frames_returned: int
    frames_lost: int
    latencies_ms: tuple[float, ...]
    """Of each returned frame, from its due instant."""
    late_ms: float
    """The most by which a frame was sent after its due instant."""
    lost_calls: tuple[str, ...] = ()
    """Why each call was lost that another one took the place of."""
    resumptions: int = 0
    """How many of those began with a ticket."""
    silent_seconds: float | None = None
    """How long nothing came back at first, where that is worth a word."""

    def latency_ms(self, share: float) -> float | None:
        """Give the latency that this share of the frames kept within; None without frames."""
        ordered = sorted(self.latencies_ms)
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


async def replay(
    call: Call, recording: Recording, *, frame_ms: int = 20, echo: bool = True, progress: Progress | None = None
) -> Replay:
    """Send a recording, collect what comes back, hang up.  Raises CallError when the call ends otherwise."""
    replaying = _Replaying(recording, frame_ms, progress, echo=echo)
    await replaying.run(call)
    return replaying.outcome()


async def replay_over(
    calls: Calls, recording: Recording, *, frame_ms: int = 20, echo: bool = True, progress: Progress | None = None
) -> Replay:
    """Do the same over as many calls as it takes.  Raises the CallError after which there is no further one."""
    replaying = _Replaying(recording, frame_ms, progress, echo=echo)
    lost: list[str] = []
    resumptions = 0
    async for leg in calls:
        async with leg as call:
            if leg.reason is not None:
                lost.append(str(leg.reason))
                resumptions += call.statistics.is_resumed
            await replaying.run(call)
    return msgspec.structs.replace(replaying.outcome(), lost_calls=tuple(lost), resumptions=resumptions)


class _Replaying:
    def __init__(self, recording: Recording, frame_ms: int, progress: Progress | None, *, echo: bool) -> None:
        self._rate = recording.rate
        self._frames = recording.frames(frame_ms)
        self._frame_seconds = frame_ms / 1000
        self._progress = progress
        self._echo = echo
        self._sent = 0
        self._late = 0.0
        self._due: list[float] = []  # of each frame of the call that runs
        self._come_back = 0  # likewise
        self._missing = 0
        self._latencies: list[float] = []
        self._returned: list[bytes] = []
        self._ended: Ended | None = None
        self._statistics = Statistics()
        self._has_all = trio.Event()
        self._spoke_at: float | None = None
        self._heard_at: float | None = None
        self._over_at = 0.0

    async def run(self, call: Call) -> None:
        """Send what has not been sent, and hang up.  Raises what the call ends with."""
        self._due, self._come_back, self._has_all = [], 0, trio.Event()
        first = self._sent
        is_awaited = self._echo and first < len(self._frames)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive, call, len(self._frames) - first)
                await self._send(call)
                with trio.move_on_after(TAIL_SECONDS if is_awaited else 0):
                    await self._has_all.wait()
                await call.close()
        except BaseExceptionGroup as group:
            # Both tasks may hear of the call's end; it is one fault.
            if len(set(map(repr, group.exceptions))) == 1:
                raise group.exceptions[0] from None
            raise
        finally:
            self._over_at = trio.current_time()
            self._missing += max(0, self._sent - first - self._come_back)
            self._add(call.statistics)

    def outcome(self) -> Replay:
        """Say what became of it all."""
        return Replay(
            statistics=self._statistics,
            ended=self._ended,
            returned=Recording(b"".join(self._returned), self._rate),
            frames_sent=self._sent,
            frames_returned=len(self._returned),
            frames_lost=max(self._missing if self._echo else 0, self._statistics.frames_dropped),
            latencies_ms=tuple(self._latencies),
            late_ms=self._late * 1000,
            silent_seconds=self._silent_seconds(),
        )

    def _silent_seconds(self) -> float | None:
        if self._spoke_at is None:
            return None
        until = self._over_at + self._frame_seconds if self._heard_at is None else self._heard_at
        waited = until - self._spoke_at
        return waited if waited >= SILENCE_SECONDS or (self._echo and self._heard_at is None) else None

    async def _send(self, call: Call) -> None:
        start, first = trio.current_time(), self._sent
        for number, frame in enumerate(self._frames[first:]):
            due = start + number * self._frame_seconds
            await trio.sleep_until(due)
            self._late = max(self._late, trio.current_time() - due)
            self._due.append(due)
            if self._spoke_at is None:
                self._spoke_at = trio.current_time()
            await call.send(frame)
            self._sent += 1
            if self._progress is not None and (number % _PROGRESS_EVERY == 0 or self._sent == len(self._frames)):
                self._progress(self._sent, len(self._returned), len(self._frames))

    async def _receive(self, call: Call, expected: int) -> None:
        async for item in call:
            match item:
                case Audio(payload=frame):
                    if self._heard_at is None:
                        self._heard_at = trio.current_time()
                    if self._come_back < len(self._due):
                        self._latencies.append((trio.current_time() - self._due[self._come_back]) * 1000)
                    self._come_back += 1
                    self._returned.append(frame)
                    if self._come_back >= expected:
                        self._has_all.set()
                case Ended():
                    self._ended = item
                case _:
                    pass
        self._has_all.set()

    def _add(self, figures: Statistics) -> None:
        """Take a call's figures, with those of the calls before where it is their sum that counts."""
        before = self._statistics
        self._statistics = msgspec.structs.replace(
            figures,
            frames_dropped=before.frames_dropped + figures.frames_dropped,
            epochs=before.epochs + figures.epochs,
            generations=before.generations + figures.generations,
        )
