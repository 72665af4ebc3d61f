"""Moves the bytes of one call between its machine and an asyncio transport, and keeps its time.

Everything happens in callbacks of the loop: bytes that came, a timer, the connection's end.  After each the machine's
words are written.  While the transport has too much to write they wait in the machine, and so does what users say: that
is the backpressure.  A server that does not read never keeps us from reading, or from noticing that a key is too old.
"""

import asyncio
import math
from collections.abc import Callable
from typing import cast

from sottovoce.client.asyncio.waiting import Alarm, News
from sottovoce.client.items import Item
from sottovoce.client.machine import CallMachine
from sottovoce.client.shell import LAST_WORDS_SECONDS, Standing
from sottovoce.transport import Clock

_SENDS_IN_A_ROW = 16
"""What users may send without a pause; then the loop has its turn, for bytes that came and for timers."""


class Link(Standing, asyncio.Protocol):
    """One call's connection, as the protocol of its transport.  After a cancellation it can be used on."""

    _transport: asyncio.Transport

    def __init__(self, machine: CallMachine, clock: Clock) -> None:
        super().__init__(machine, clock)
        self.news = News()
        self._alarm = Alarm(self._on_deadline)
        self._saying = asyncio.Lock()  # the order of what users say
        self._in_a_row = 0
        self._is_full = False
        self._is_reading = True
        self._is_closing = False
        self._is_closed = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)  # what waits in there is old before it leaves
        self._settle()

    def data_received(self, data: bytes) -> None:
        """Take what the network brings."""
        self._in_a_row = 0
        self._attempt(lambda now: self.machine.receive(data, now))

    def eof_received(self) -> None:
        """Take note that nothing more will come."""
        self._attempt(self.machine.receive_eof)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection is closed, by whichever side."""
        del exc  # which side it was, the machine knows
        self._is_closed = self._is_closing = True
        self._alarm.cancel()
        self._attempt(self.machine.receive_eof)

    def pause_writing(self) -> None:
        """Write nothing for now."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Write on."""
        self._is_full = False
        self._settle()

    # What users call.

    async def next_item(self) -> Item | None:
        """Wait for the next item; None behind the last one.  Raises the call's failure.  Cancelled, it took nothing."""
        while (item := self.take()) is None and not self.has_told:
            await self.news.wait()
        if not self._is_reading:
            self._settle()  # there may be room again
        return self.told(item)

    async def say(self, seal: Callable[[float], bool]) -> None:
        """Have something sealed, as soon as it may be, and write it.  Raises CallError if the call is over."""
        async with self._saying:
            self._in_a_row += 1
            if self._in_a_row > _SENDS_IN_A_ROW:
                self._in_a_row = 0
                await asyncio.sleep(0)
            while self._is_full or not seal(self._clock.now()):
                if self.has_ended:
                    raise self.why_not()
                self._settle()
                await self.news.wait(math.inf if self._is_full else self.retry_seconds())
            self._settle()

    async def close(self, code: int) -> None:
        """End the call and wait until the connection is closed.  Cancelled, it waits for a second at most."""
        self.machine.close(self._clock.now(), code)
        self._settle()
        cancelled = None
        while not self._is_closed:
            try:
                await self.news.wait()
            except asyncio.CancelledError as error:
                cancelled = error
                self.machine.drop(self._clock.now())
                self._settle()
        if cancelled is not None:
            raise cancelled

    # After each of them.

    def _on_deadline(self) -> None:
        if self._is_closing:
            self._transport.abort()
        else:
            self._attempt(lambda _: None)

    def _attempt(self, do: Callable[[float], None]) -> None:
        """Have the machine do something, and what is due; a fault in it ends the call, and is not the loop's."""
        try:
            do(self._clock.now())
            self.machine.on_deadline(self._clock.now())
        except Exception as crash:  # noqa: BLE001  whatever it is, the user hears of it
            self.crashed(crash)
        self._settle()

    def _settle(self) -> None:
        """Wake whoever waits, write what there is, and set the timer."""
        self.news.tell()
        if self._is_closing:
            return
        self._is_closing = self.machine.is_over or self._crash is not None
        if (self._is_closing or not self._is_full) and (data := self.machine.to_send()):
            self._transport.write(data)
        if self._is_closing:
            self._transport.close()
            self._alarm.cancel()
            self._alarm.set(LAST_WORDS_SECONDS)
            return
        if self._is_reading is not self.machine.wants_more:
            self._is_reading = not self._is_reading
            (self._transport.resume_reading if self._is_reading else self._transport.pause_reading)()
        self._alarm.set(self.patience())
