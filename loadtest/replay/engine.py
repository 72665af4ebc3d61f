"""The generator: one thread, one epoll, no event loop and nothing awaited, so that hundreds of calls fit on a core.

Frames have the right of way: whatever else is to be done, the loop looks between any two steps whether one is due.
With ticks of its own it sleeps from one to the next, and at each writes what is due and reads what has come.

epoll waits in whole milliseconds; where a frame is due within one, `select` on the epoll itself waits for microseconds.

What a scenario does beside talking (calls that come and go, that do not read, a backend that goes) are *deeds*: each
has an instant, and is one plain call.
"""

import ctypes
import heapq
import select
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from loadtest.replay.agenda import Agenda, next_tick
from loadtest.replay.book import Book
from loadtest.replay.streams import Endpoint, Stream

AT_ONCE = 32
"""Sessions that come about at a time."""
HOPELESS = 20
"""So many failed first attempts, and no session up, and no further one is tried."""
_MOST_IN_A_ROW = 64
"""Frames written before it is read again, when many are due: who is behind must not stop reading as well."""
_LOOK_SECONDS = 0.05
"""The longest wait: somebody may want the run to stop."""
_NAP_SECONDS = 0.0002
"""If a frame is due so soon, what comes meanwhile is read behind it: to be woken for each frame that comes costs more
than to read it, on both sides."""
_SETTLE_SECONDS = 1.0
_MINDED_IN_TURN = 16
"""Of the sessions that wait for the others, every sixteenth is looked at each time: they keep alive by themselves."""
_CLOSE_SECONDS = 1.5
_LAST_SECONDS = 0.3
_PR_SET_TIMERSLACK = 29

ShouldStop = Callable[[], bool]
Begin = Callable[[], tuple[Stream, Endpoint]]
"""Makes a session that is not connected yet."""
Tell = Callable[[float], None]
Deed = Callable[[float], None]
"""Is told what time it is."""
Came = Callable[[Stream, float], None]


class Engine:
    """Sessions, and the sockets that they wait for."""

    def __init__(self, book: Book, should_stop: ShouldStop) -> None:
        self._book = book
        self._should_stop = should_stop
        self._poll = select.epoll()
        self._by_descriptor: dict[int, Stream] = {}
        self._coming = dict[Stream, Came]()
        self._deeds: list[tuple[float, int, Deed]] = []
        self._numbers = count()
        self._looked_at = self._told_at = self._polled_at = 0.0
        self.agenda: Agenda[Stream] = Agenda()
        """Whose frames are due."""
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

    def later(self, at: float, deed: Deed) -> None:
        """Have something done at an instant, while frames are said."""
        heapq.heappush(self._deeds, (at, next(self._numbers), deed))

    def begin(self, begin: Begin, now: float, came: Came) -> bool:
        """Have a session come about; `came` is told when it is up, or failed.  False: too many are coming just now."""
        if len(self._coming) >= AT_ONCE:
            return False
        stream, endpoint = begin()
        self._by_descriptor[stream.connect(endpoint, self._poll, now)] = stream
        self._coming[stream] = came
        return True

    # Before the frames.

    def call(self, beginnings: Sequence[tuple[float, Begin]], tell: Tell) -> None:
        """Have sessions come about, each so many seconds from now; rising."""
        began = time.monotonic()
        started, minded_at = 0, began
        while started < len(beginnings) or self._coming:
            now = time.monotonic()
            if self._should_stop() or (self.failed >= HOPELESS and not self.streams):
                self._coming.clear()
                return
            while started < len(beginnings) and now >= began + beginnings[started][0]:
                if not self.begin(beginnings[started][1], now, _come):
                    break
                started += 1
            following = beginnings[started][0] if started < len(beginnings) else now
            self._read_ready(self._poll.poll(max(0.0, min(_LOOK_SECONDS, began + following - now))))
            self._sort_out(now)
            if now >= minded_at + _LOOK_SECONDS:
                minded_at = now
                self._mind(self._coming, now)
                self._mind(self.streams[started % _MINDED_IN_TURN :: _MINDED_IN_TURN], now)
                tell(now)

    def _sort_out(self, now: float) -> None:
        for stream, came in list(self._coming.items()):
            if stream.is_up:
                self.streams.append(stream)
            elif stream.is_over:
                self.failed += 1
            else:
                continue
            del self._coming[stream]
            came(stream, now)

    def _mind(self, streams: Iterable[Stream], now: float) -> None:
        for stream in streams:
            if not stream.is_over:
                stream.mind(now)

    # The frames.

    def speak(self, began: float, until: float, tick_seconds: float, tell: Tell) -> bool:
        """Have all frames said that are due before `until`; false if it was stopped, or nobody is left to say any.

        `began` is where ticks have their origin.
        """
        clock, agenda = time.monotonic, self.agenda
        self._looked_at = self._told_at = self._polled_at = clock()
        is_behind = False
        while agenda.due < until or clock() < until:
            now = clock()
            if now >= self._looked_at + _LOOK_SECONDS and not self._look(now, tell):
                return False
            if self._deeds and self._deeds[0][0] <= now:
                heapq.heappop(self._deeds)[2](now)
            if tick_seconds and not is_behind:
                time.sleep(max(0.0, next_tick(now, began, tick_seconds) - now))
            is_behind = self._say_due(until)
            since, ready = self._await_ready(until, may_wait=not tick_seconds)
            for descriptor, events in ready:
                self._by_descriptor[descriptor].on_ready(events, clock())
                if not tick_seconds and agenda.due <= clock():
                    self._say_due(until)
            if ready:
                now = clock()
                self._book.were_read(len(ready), now - since, now)
                if self._coming:
                    self._sort_out(now)
        return True

    def _look(self, now: float, tell: Tell) -> bool:
        """See to what is not urgent; false if there is no reason to go on."""
        self._looked_at = now
        if self._should_stop() or not (self.alive or self._coming or self._deeds):
            return False
        if self._coming:
            self._mind(self._coming, now)
            self._sort_out(now)
        if now >= self._told_at + _SETTLE_SECONDS:
            self._told_at = now
            self._book.settle(now)
            tell(now)
        return True

    def _await_ready(self, until: float, *, may_wait: bool) -> tuple[float, list[tuple[int, int]]]:
        """Give what is to be read, and an instant before which none of it had come."""
        polled_before, self._polled_at = self._polled_at, time.monotonic()
        ready = self._poll.poll(0)
        if ready or not may_wait:
            return polled_before, ready
        following = min(self.agenda.due, until, self._deeds[0][0] if self._deeds else until)
        patience = min(following - time.monotonic(), _LOOK_SECONDS)
        if patience > _NAP_SECONDS:
            select.select((self._poll,), (), (), patience)
            self._polled_at = time.monotonic()
            return self._polled_at, self._poll.poll(0)
        if patience > 0:
            time.sleep(patience)
        return self._polled_at, ready

    def _say_due(self, until: float) -> bool:
        """Say what is due; whether there is more than may be said in a row."""
        agenda, book, clock = self.agenda, self._book, time.monotonic
        now = clock()
        for _ in range(_MOST_IN_A_ROW):
            due = agenda.due
            if due > now or due >= until:
                return False
            stream = agenda.speaker
            if stream.is_silent:
                agenda.leave()
                continue
            was_said = stream.offer(due, now)
            now = clock()
            book.was_offered(stream.route, due, now if was_said else None)
            agenda.advance()
        return True

    # Behind the frames.

    def listen(self, until: float) -> None:
        """Wait for frames that are still on their way; not for long if somebody wants it to stop."""
        for stream in self.streams:
            stream.read_on()
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


def _come(stream: Stream, now: float) -> None:
    """Wait for the others."""
