"""A session that is a call: the machine of `sottovoce.client`, driven without an event loop around it."""

import time
from collections import deque
from collections.abc import Sequence

from loadtest.replay.agenda import Rhythm
from loadtest.replay.book import Book, RouteBook
from loadtest.replay.streams.stream import TURN_BEGINS, TURN_ENDS, Stream
from sottovoce.client.errors import CallError
from sottovoce.client.items import Audio, Clear
from sottovoce.client.machine import CallMachine
from sottovoce.client.settings import CallSettings
from sottovoce.primitives import SystemKem
from sottovoce.session import Dependencies
from sottovoce.transport import HANDSHAKE_SECONDS, SystemEntropy

_MINDED_EVERY = 8
"""Frames from one look at the machine's deadlines to the next."""
_MAX_WAITING = 500
"""Frames that wait for the keys to be renewed; beyond, the oldest is lost."""


class VoiceStream(Stream):
    """A call.  Its clock is the engine's, which stands still in suspend: nobody measures a machine that sleeps."""

    __slots__ = ("_machine", "_settings", "_waiting")

    def __init__(  # noqa: PLR0913, PLR0917  a stream's, and what is its own
        self,
        session: int,
        route: RouteBook,
        book: Book,
        tails: Sequence[bytes],
        settings: CallSettings,
        rhythm: Rhythm | None = None,
    ) -> None:
        super().__init__(session, route, book, tails, rhythm)
        self._settings = settings
        self._waiting: deque[tuple[bytes, int]] = deque(maxlen=_MAX_WAITING)

    def mind(self, now: float) -> None:
        """Have the machine do what is due, such as renewing its keys; before there is one, wait no longer than it."""
        if self.is_over:
            return
        if not self._is_connecting:
            self._machine.on_deadline(now)
            self._settle(now)
        elif now > self.began_at + HANDSHAKE_SECONDS:
            self._end(f"cannot reach {self._peer}: no answer in {HANDSHAKE_SECONDS:g} s")

    def _greet(self, now: float) -> None:
        parts = Dependencies(SystemKem(), SystemEntropy())
        self._machine = CallMachine(self._settings, parts, now, time.time(), connect_by=now + HANDSHAKE_SECONDS)
        self._write(self._machine.to_send())

    def _take(self, data: bytes, now: float) -> None:
        machine = self._machine
        if data:
            frame = machine.receive_audio(data, now)
            if frame is not None:
                self._heard(frame, now)
                return
        else:
            machine.receive_eof(now)
        while (item := machine.take()) is not None:
            if isinstance(item, Audio):
                self._heard(item.payload, now)
            elif isinstance(item, Clear):
                self._cleared(now)
        self._settle(now)

    def _say(self, frame: bytes, now: float, turn: int) -> None:
        if self._waiting or not self._seal(frame, now, turn):
            self._waiting.append((frame, turn))
            self.mind(now)
            return
        self._write(self._machine.to_send())
        if not self._spoken % _MINDED_EVERY:
            self.mind(now)

    def _seal(self, frame: bytes, now: float, turn: int) -> bool:
        if not turn:
            return self._machine.send_audio(frame, now)
        begins, ends = bool(turn & TURN_BEGINS), bool(turn & TURN_ENDS)
        return self._machine.send_audio(frame, now, talk_spurt=begins, end_of_turn=ends)

    def _settle(self, now: float) -> None:
        """After a call of the machine: what waits, what has to be written, how far it is."""
        machine, waiting = self._machine, self._waiting
        while waiting and self._seal(waiting[0][0], now, waiting[0][1]):
            waiting.popleft()
        if data := machine.to_send():
            self._write(data)
        if machine.is_open and not self.is_up:
            self._is_ready(now)
        if machine.ended is not None and (machine.is_over or not self._is_hanging_up):
            self._end(_words(machine.failure) or machine.ended.reason)

    def _say_goodbye(self, now: float) -> None:
        if self._is_connecting:
            self.drop()
            return
        self._machine.close(now)
        self._settle(now)

    def _on_write_failed(self) -> None:
        super()._on_write_failed()
        self._machine.write_failed(time.monotonic())


def _words(failure: CallError | None) -> str:
    """Say what happened; what a caller should do about it is left out."""
    return "" if failure is None else str(failure).removesuffix(f"; {failure.remedy}")
