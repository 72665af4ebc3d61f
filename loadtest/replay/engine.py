"""The generator: one thread, one epoll, no event loop and nothing awaited, so that hundreds of sessions fit on a core.

Frames have the right of way: whatever else is to be done, the loop looks between any two steps whether one is due.
With ticks of its own it sleeps from one to the next, and at each writes what is due and reads what has come.

epoll waits in whole milliseconds; where a frame is due within one, `select` on the epoll itself waits for microseconds.
"""

import ctypes
import select
import time
from collections.abc import Callable, Sequence

from loadtest.replay.book import Book
from loadtest.replay.schedule import Schedule, next_tick
from loadtest.replay.streams import Endpoint, Stream

AT_ONCE = 32
"""Sessions that come about at a time."""
HOPELESS = 20
"""So many failed first attempts, and no session up, and no further one is tried."""
_MOST_IN_A_ROW = 64
"""Frames written before it is read again, when many are due: who is behind must not stop reading as well."""
_LOOK_SECONDS = 0.05
"""The longest wait: somebody may want the run to stop."""
_SETTLE_SECONDS = 1.0
_MINDED_IN_TURN = 16
"""Of the sessions that wait for the others, every sixteenth is looked at each time: they keep alive by themselves."""
_CLOSE_SECONDS = 1.5
_LAST_SECONDS = 0.3
_PR_SET_TIMERSLACK = 29

ShouldStop = Callable[[], bool]
Begin = Callable[[], tuple[Stream, Endpoint]]
"""Makes a session that is not connected yet."""


class Engine:
    """Sessions, and the sockets that they wait for."""

    def __init__(self, book: Book, should_stop: ShouldStop) -> None:
        self._book = book
        self._should_stop = should_stop
        self._poll = select.epoll()
        self._by_descriptor: dict[int, Stream] = {}
        self.streams: list[Stream] = []
        """Those that came up, whatever became of them."""
        self.failed = 0
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)  # waits end when they are to, not up to 50 us later

    def close(self) -> None:
        """Drop whatever there is."""
        for stream in self._by_descriptor.values():
            stream.drop()
        self._by_descriptor.clear()
        self._poll.close()

    @property
    def alive(self) -> int:
        """Sessions that are up."""
        return sum(not stream.is_over for stream in self.streams)

    @property
    def has_time(self) -> bool:
        """Whether nobody wants it to stop."""
        return not self._should_stop()

    # Before the frames.

    def call(self, begin: Begin, sessions: int, per_second: float, tell: Callable[[float], None]) -> None:
        """Have so many sessions come about, at that rate."""
        began = time.monotonic()
        started, minded_at, coming = 0, began, set[Stream]()
        while started < sessions or coming:
            now = time.monotonic()
            if self._should_stop() or (self.failed >= HOPELESS and not self.streams):
                return
            while started < sessions and len(coming) < AT_ONCE and now >= began + started / per_second:
                coming.add(self._begin(begin, now))
                started += 1
            self._read_ready(self._poll.poll(min(_LOOK_SECONDS, 1 / per_second)))
            coming = self._sort_out(coming)
            if now >= minded_at + _LOOK_SECONDS:
                minded_at = now
                self._mind(coming, now)
                self._mind(self.streams[started % _MINDED_IN_TURN :: _MINDED_IN_TURN], now)
                tell(now)

    def _begin(self, begin: Begin, now: float) -> Stream:
        stream, endpoint = begin()
        self._by_descriptor[stream.connect(endpoint, self._poll, now)] = stream
        return stream

    def _sort_out(self, coming: set[Stream]) -> set[Stream]:
        left = set[Stream]()
        for stream in coming:
            if stream.is_up:
                self.streams.append(stream)
            elif stream.is_over:
                self.failed += 1
            else:
                left.add(stream)
        return left

    def _mind(self, streams: set[Stream] | Sequence[Stream], now: float) -> None:
        for stream in streams:
            if not stream.is_over:
                stream.mind(now)

    # The frames.

    def speak(self, schedule: Schedule, tick_seconds: float, until: float, tell: Callable[[float], None]) -> bool:
        """Have all frames said that are due before `until`; false if it was stopped, or nobody is left to say any."""
        told_at = looked_at = time.monotonic()
        wait = self._wait_for_tick if tick_seconds else self._wait_for_due
        while schedule.due < until:
            now = time.monotonic()
            if now >= told_at + _SETTLE_SECONDS:
                told_at = now
                self._book.settle(now)
                tell(now)
            if now >= looked_at + _LOOK_SECONDS:
                looked_at = now
                if self._should_stop() or not self.alive:
                    return False
            ready = wait(schedule, tick_seconds)
            self._say_due(schedule, until)
            for descriptor, events in ready:
                self._by_descriptor[descriptor].on_ready(events, time.monotonic())
                if not tick_seconds and schedule.due <= time.monotonic():
                    self._say_due(schedule, until)
        return True

    def _wait_for_due(self, schedule: Schedule, _: float) -> list[tuple[int, int]]:
        patience = min(schedule.due - time.monotonic(), _LOOK_SECONDS)
        if patience > 0:
            select.select((self._poll,), (), (), patience)
        return self._poll.poll(0)

    def _wait_for_tick(self, schedule: Schedule, tick_seconds: float) -> list[tuple[int, int]]:
        now = time.monotonic()
        time.sleep(max(0.0, next_tick(now, schedule.began, tick_seconds) - now))
        return self._poll.poll(0)

    def _say_due(self, schedule: Schedule, until: float) -> None:
        book, streams, now = self._book, self.streams, time.monotonic()
        for _ in range(_MOST_IN_A_ROW):
            due = schedule.due
            if due > now or due >= until:
                return
            stream = streams[schedule.session]
            was_said = stream.offer(due, now)
            now = time.monotonic()
            book.was_offered(stream.route, due, now if was_said else None)
            schedule.advance()

    # Behind the frames.

    def listen(self, until: float) -> None:
        """Wait for frames that are still on their way; not for long if somebody wants it to stop."""
        if self._should_stop():
            until = min(until, time.monotonic() + _LAST_SECONDS)
        while time.monotonic() < until:
            if not any(stream.in_flight for stream in self.streams if not stream.is_over):
                return
            self._read_ready(self._poll.poll(_LOOK_SECONDS))

    def hang_up(self) -> None:
        """End all sessions in good order; those whose other side does not answer in time are dropped."""
        now = time.monotonic()
        for stream in self.streams:
            stream.hang_up(now)
        while self.alive and time.monotonic() < now + _CLOSE_SECONDS:
            self._read_ready(self._poll.poll(_LOOK_SECONDS))
        self.close()

    def _read_ready(self, ready: list[tuple[int, int]]) -> None:
        for descriptor, events in ready:
            self._by_descriptor[descriptor].on_ready(events, time.monotonic())
