"""The thread of a blocking call: it moves bytes between machine and socket, keeps time, and does what is wished.

While it runs nobody else touches the two: Ctrl-C, which strikes in the main thread between any two steps, can then
leave neither half-way.  What users say is sealed only when all that was sealed before has left: that is the
backpressure, and a wish that is withdrawn has sent nothing.
"""

import math
import os
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from sottovoce.client.machine import CallMachine
from sottovoce.client.shell import LAST_WORDS_SECONDS, Standing
from sottovoce.client.sync.wish import Wish
from sottovoce.transport import READ_BYTES, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_LOOK_SECONDS = 5.0
"""How often it is looked whether anybody holds the call still: a finalizer that Ctrl-C strikes says nothing."""


class Carrier(Standing):
    """One call's thread, and the wishes that it looks after: orders each for itself, the others in their order."""

    def __init__(self, machine: CallMachine, sock: socket.socket, clock: Clock) -> None:
        """Take over `sock`.  The thread is yet to be started."""
        super().__init__(machine, clock)
        sock.settimeout(0)
        self._sock = sock
        self._bell, self._ear = socket.socketpair()
        self._bell.settimeout(0)
        self._ringing = threading.Lock()
        self._granting = threading.Lock()
        self.orders = deque[Wish]()
        self.sayings = deque[Wish]()
        self.takings = deque[Wish]()
        self._unsent = b""
        self._watched = 0
        self._process = os.getpid()
        self.is_closed = False
        self.holder: Callable[[], object | None] = object
        """Gives who holds the call; None once nobody does."""
        self.thread = threading.Thread(target=self._run, name="sottovoce call", daemon=True)

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is a fork of the process that has the call: the thread did not come along."""
        return self._process != os.getpid()

    def start(self) -> None:
        """Begin."""
        try:
            self.thread.start()
        finally:
            if not self.thread.is_alive():
                self._abandon()

    def ask(self, wishes: deque[Wish], wish: Wish) -> None:
        """Take in a wish, for the thread; where that is gone, do what can be done without it."""
        wishes.append(wish)
        with self._ringing, suppress(BlockingIOError):
            if not self.is_closed:
                self._bell.send(b"\0")
        if self.is_closed:
            self._grant()

    def let_go(self) -> None:
        """End the call, as nobody holds it any more; do not wait."""
        if self.thread.ident is None:
            self._abandon()
        elif not self.is_closed:
            self.ask(self.orders, Wish(self.drop))

    def drop(self, now: float) -> bool:
        """A wish: end the call without waiting for the server's part."""
        self.machine.drop(now)
        return True

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._ear, _READ)
                self._serve(selector)
        except Exception as crash:  # noqa: BLE001  whatever it is, the user hears of it
            self.crashed(crash)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Close everything, and answer whoever waits."""
        with self._ringing:  # nobody writes to a descriptor that has become another's
            self.is_closed, self._unsent = True, b""
            for sock in (self._sock, self._bell, self._ear):
                sock.close()
        self._grant()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        while not self.machine.is_over:
            self._watch(selector)
            again = self.retry_seconds() if self.sayings and not self._unsent else math.inf
            patience = min(again, self.patience(), _LOOK_SECONDS)
            ready = {key.fileobj for key, on in selector.select(patience) if on & _READ}
            if self._ear in ready:
                self._ear.recv(READ_BYTES)
            if self._sock in ready:
                self._read()
            self.machine.on_deadline(self._clock.now())
            if self.holder() is None:
                self.drop(self._clock.now())
            self._grant()
            self._write()
        self._sock.settimeout(LAST_WORDS_SECONDS)
        with suppress(OSError):
            self._sock.sendall(self._unsent + self.machine.to_send())

    def _watch(self, selector: selectors.BaseSelector) -> None:
        wanted = _READ * self.machine.wants_more | _WRITE * bool(self._unsent)
        if wanted != self._watched:
            if self._watched:
                selector.unregister(self._sock)
            if wanted:
                selector.register(self._sock, wanted)
            self._watched = wanted

    def _read(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = self._clock.now()
        self.machine.receive(data, now) if data else self.machine.receive_eof(now)

    def _write(self) -> None:
        """Write what can be written now."""
        try:
            while data := self._unsent + self.machine.to_send():
                self._unsent = data
                self._unsent = data[self._sock.send(data) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""
            self.machine.write_failed(self._clock.now())

    def _grant(self) -> None:
        """Do what is wished, as far as it can be done."""
        with self._granting:
            now = self._clock.now()
            for _ in range(len(self.orders)):
                if not (wish := self.orders.popleft()).try_now(now):
                    self.orders.append(wish)
            while self.takings and self.takings[0].try_now(now):
                self.takings.popleft()
            while self.sayings and not self._unsent and self.sayings[0].try_now(now):
                self.sayings.popleft()
                if not self.is_closed:
                    self._write()
