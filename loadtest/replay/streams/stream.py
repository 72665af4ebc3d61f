"""One session of a run: its socket, the frames on their way, and what becomes of them.  What it speaks: a subclass.

Each frame begins with a number of four bytes that no other frame of this session has, nor at that time a frame of any
other session; the rest is the recording's.  What comes back is held, all of it, against the oldest frame on its way:
one comparison proves which frame it is, that its bytes are the same, and that none said before is still missing.

    connecting ─▶ shaking hands ─▶ up ─▶ over
"""

import errno
import os
import select
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

import msgspec

from loadtest.replay.agenda import Rhythm
from loadtest.replay.book import Book, RouteBook

READ_BYTES = 65_536
NUMBER_BYTES = 4
_NUMBERS = 1 << 8 * NUMBER_BYTES
_APART = 1_000_003
"""Between the first numbers of neighbours."""
_MAX_IN_FLIGHT = 1_000
"""Twenty seconds: a frame that is older is given up."""
_MAX_PENDING_BYTES = 1 << 20
"""That a peer does not read; beyond it frames are not even sealed, and are lost."""
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
TURN_BEGINS, TURN_ENDS = 1, 2
"""What a frame may be in a conversation of turns."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where to connect to."""

    host: str
    """Host and port, for people."""
    family: socket.AddressFamily
    address: tuple[str | int | bytes, ...]


class Stream(ABC):
    """A session, for an engine that tells it when its socket is ready and when a frame is due."""

    __slots__ = (
        "_book",
        "_in_flight",
        "_is_connecting",
        "_is_hanging_up",
        "_is_held",
        "_number",
        "_peer",
        "_pending",
        "_poll",
        "_socket",
        "_spoken",
        "_tails",
        "_turn_due",
        "began_at",
        "is_over",
        "is_silent",
        "is_up",
        "rhythm",
        "route",
        "up_at",
    )

    def __init__(
        self, session: int, route: RouteBook, book: Book, tails: Sequence[bytes], rhythm: Rhythm | None = None
    ) -> None:
        """`tails`: what is said, frame for frame and again from the start, without the number that goes before."""
        self.route = route
        self.rhythm = rhythm or Rhythm(0.02)
        self.is_silent = False
        """It says nothing more, whatever its rhythm."""
        self._book = book
        self._tails = tails
        self._number = session * _APART % _NUMBERS
        self._spoken = 0
        self._in_flight: deque[tuple[bytes, float]] = deque(maxlen=_MAX_IN_FLIGHT)
        self._pending = bytearray()
        self._is_connecting = True
        self._is_hanging_up = False
        self._is_held = False
        self._turn_due: float | None = None  # when the turn that was not answered yet began
        self._peer = ""
        self.is_up = False
        """Frames can be sent."""
        self.is_over = False
        self.began_at = self.up_at = 0.0

    # What the engine calls.

    def connect(self, endpoint: Endpoint, poll: select.epoll, now: float) -> int:
        """Begin; gives the descriptor, which is registered and unregisters itself at the end."""
        self.began_at = now
        self._poll = poll
        self._peer = endpoint.host
        self._socket = socket.socket(endpoint.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        descriptor = self._socket.fileno()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(descriptor, _IN | _OUT)
        number = self._socket.connect_ex(endpoint.address)
        if number not in {0, errno.EINPROGRESS}:
            self._end(f"cannot reach {self._peer}: {os.strerror(number)}")
        return descriptor

    def on_ready(self, events: int, now: float) -> None:
        """The socket is ready."""
        if self.is_over:
            return
        if self._is_connecting:
            self._on_connected(now)
            return
        if events & ~_OUT:
            self._read(now)
        if events & _OUT and self._pending:
            self._write(b"")

    def offer(self, due: float, now: float) -> bool:
        """Say the next frame, which was due then; false if there was no way to."""
        if self.is_over or len(self._pending) > _MAX_PENDING_BYTES:
            return False
        frame = self._number.to_bytes(NUMBER_BYTES) + self._tails[self._spoken % len(self._tails)]
        self._number = (self._number + 1) % _NUMBERS
        turn = self._place_in_turn(due) if self.rhythm.talks else 0
        self._spoken += 1
        self._in_flight.append((frame, due))
        self._say(frame, now, turn)
        return True

    def _place_in_turn(self, due: float) -> int:
        rhythm, number = self.rhythm, self._spoken
        if rhythm.begins_turn(number):
            self._turn_due = due
            return TURN_BEGINS
        return TURN_ENDS if rhythm.ends_turn(number) else 0

    @property
    def in_flight(self) -> int:
        """How many frames have not come back."""
        return len(self._in_flight)

    def hold(self) -> None:
        """Read nothing more: what comes waits in the network."""
        self._is_held = True
        self._watch()

    def read_on(self) -> None:
        """Read again."""
        self._is_held = False
        self._watch()

    def hang_up(self, now: float) -> None:
        """End in good order; it is over when the other side has answered, or when it is dropped."""
        if not self.is_over:
            self._is_hanging_up = True
            self._say_goodbye(now)

    def drop(self) -> None:
        """Close the socket, whatever is going on."""
        self._is_hanging_up = True
        self._end("")

    @abstractmethod
    def mind(self, now: float) -> None:
        """Do what is due by the clock."""

    # What a subclass says.

    @abstractmethod
    def _greet(self, now: float) -> None:
        """There is a connection: begin to shake hands."""

    @abstractmethod
    def _take(self, data: bytes, now: float) -> None:
        """Bytes came; none means that no more will."""

    @abstractmethod
    def _say(self, frame: bytes, now: float, turn: int) -> None:
        """Seal and write a frame; `turn` is TURN_BEGINS, TURN_ENDS or nothing."""

    @abstractmethod
    def _say_goodbye(self, now: float) -> None:
        """Begin to end in good order."""

    # What a subclass calls.

    def _is_ready(self, now: float) -> None:
        self.is_up = True
        self.up_at = now
        self.route.sessions += 1
        self._book.handshakes.add(now - self.began_at)

    def _heard(self, payload: bytes, now: float) -> None:
        """A frame came back, or something that is none."""
        in_flight = self._in_flight
        if in_flight and payload == in_flight[0][0]:
            self._book.came_back(self.route, in_flight.popleft()[1], now)
            return
        place = next((place for place, (frame, _) in enumerate(in_flight) if frame == payload), None)
        if place is None:
            self._book.was_wrong(self.route, now)
            return
        for _ in range(place):
            in_flight.popleft()  # passed over: if they come after all, they are out of order, and wrong
        self._book.came_back(self.route, in_flight.popleft()[1], now)

    def _cleared(self, now: float) -> None:
        """The other side dropped what it was saying."""
        if self._turn_due is not None:
            self._book.was_cleared(self.route, self._turn_due, now)
            self._turn_due = None

    def _write(self, data: bytes) -> None:
        if self._pending:
            self._pending += data
            data = bytes(self._pending)
        if not data:
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._on_write_failed()
            return
        if sent == len(data):
            if self._pending:
                self._pending.clear()
                self._watch()
            return
        was_clear = not self._pending
        self._pending = bytearray(data[sent:])
        if was_clear:
            self._watch()

    def _watch(self) -> None:
        """Have the poll look for what is wanted now."""
        if not self.is_over and not self._is_connecting:
            self._poll.modify(self._socket, (0 if self._is_held else _IN) | (_OUT if self._pending else 0))

    def _on_write_failed(self) -> None:
        """The connection takes no more; why, reading will tell."""
        self._pending.clear()

    def _end(self, why: str) -> None:
        """The session is over; `why` counts unless it was this side that hung up."""
        if self.is_over:
            return
        self.is_over = True
        self._forget_socket()
        if self._is_hanging_up:
            return
        if self.is_up:
            self.route.calls_ended += 1
        else:
            self.route.calls_failed += 1
        self.route.reasons[why] += 1

    # Connecting and reading.

    def _on_connected(self, now: float) -> None:
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._end(f"cannot reach {self._peer}: {os.strerror(number)}")
            return
        self._is_connecting = False
        self._watch()
        self._greet(now)

    def _read(self, now: float) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._take(data, now)

    def _forget_socket(self) -> None:
        self._poll.unregister(self._socket)
        self._socket.close()
