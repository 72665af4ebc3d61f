"""What a handler holds, and how one is run: the same under every event loop.

A shell gives a `Link`, which moves bytes and waits; nothing here knows how.
"""

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from sottovoce.backend.errors import CallOver
from sottovoce.backend.items import Audio, Data, Ended, Item, Start
from sottovoce.backend.machine import CallMachine, MuxCall, MuxMachine
from sottovoce.primitives import one_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

log = logging.getLogger("sottovoce.backend")
_HERE = str(Path(__file__).parent)


Connection = CallMachine | MuxMachine
"""What a connection's shell drives."""


class Link(Protocol):
    """One call's way to its connection, of some event loop."""

    @property
    def machine(self) -> CallMachine | MuxCall:
        """The call."""
        ...

    def now(self) -> float:
        """Give the loop's time."""
        ...

    def settle(self) -> None:
        """After a call of the machine: see to it that what it has to say is written, and mind its deadline."""

    async def turn(self) -> None:
        """Give other tasks a turn, and cancellation a chance."""

    async def news(self) -> None:
        """Wait until the machine may have changed."""

    async def room(self) -> None:
        """Give others a turn, and wait while much of what was said is still to be written."""

    async def credit(self) -> None:
        """As `room`, and wait until the call `may_send`."""

    async def pause(self, seconds: float) -> None:
        """Wait so long."""


class Call:
    """A call that goes on: `async for item in call`, until `Ended`, which is the last item.

    Several tasks may send; one reads.  Sending waits while the proxy does not read, and raises CallOver once the call
    has ended.  Cancelled while it waits, it has sent nothing.
    """

    def __init__(self, link: Link, start: Start) -> None:
        self._link = link
        self._is_told = False
        self.start = start
        """What the proxy said of this call first."""

    @property
    def end(self) -> Ended | None:
        """How the call ended; None while it goes on."""
        return self._link.machine.ended

    @property
    def frames_dropped(self) -> int:
        """Frames of the client that were dropped here, the oldest first, as nobody read them in time."""
        return self._link.machine.frames_dropped

    async def send(self, frame: "Buffer | Audio | Data") -> None:
        """Send one frame of audio in `start.reply_codec`, or data where the call has no audio.

        Bytes are whatever holds some: bytearray, memoryview, array, NumPy's arrays; of larger items, the items' bytes.
        Raises ApiMisuse for a frame that the proxy would end the call for.
        """
        await self._link.credit()
        machine = self._link.machine
        match frame:
            case Audio():
                machine.audio(frame)
            case Data(payload):
                machine.data(payload)
            case _ if self.start.is_data:
                machine.data(frame)
            case _:
                machine.audio(Audio(frame))  # type: ignore[arg-type]  # the machine takes its bytes
        self._link.settle()

    async def mark(self, name: str) -> None:
        """Ask for `MarkPlayed` with this name, once the client has played what was sent before."""
        await self._say(partial(self._link.machine.mark, name))

    async def clear(self) -> None:
        """Drop the audio that waits to be played: somebody speaks over it."""
        await self._say(self._link.machine.clear)

    async def dtmf(self, event: int, duration_ms: int = 160) -> None:
        """Press a key of the telephone: 0–9, 10 for *, 11 for #, 12–15 for A–D."""
        await self._say(partial(self._link.machine.dtmf, event, duration_ms))

    async def json(self, value: Mapping[str, object]) -> None:
        """Send a JSON object of at most 4 000 bytes to the client's application."""
        await self._say(partial(self._link.machine.json, value))

    async def hang_up(self, reason: str = "") -> None:
        """End the call; `reason` goes to the proxy's log.  `Ended` comes once the proxy has answered."""
        await self._link.room()
        self._link.machine.hang_up(self._link.now(), reason)
        self._link.settle()

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        machine = self._link.machine
        await self._link.turn()
        while (item := machine.take()) is None:
            if self._is_told:
                raise StopAsyncIteration
            await self._link.news()
        self._is_told = isinstance(item, Ended)
        self._link.settle()  # there may be room to read again
        return item

    async def _say(self, queue: Callable[[float], float]) -> None:
        """Send a text no faster than a client can be told: the proxy would take it for a flood (§6)."""
        await self._link.credit()
        while wait := queue(self._link.now()):
            await self._link.pause(wait)
            await self._link.credit()
        self._link.settle()


Handler = Callable[[Call], Awaitable[object]]
"""Holds one call; it ends when this returns."""


async def hold(link: Link, start: Start, handler: Handler) -> None:
    """Run a handler.  What it raises ends its call and no other, and is logged."""
    machine = link.machine
    try:
        await handler(Call(link, start))
    except Exception as error:  # noqa: BLE001  whatever somebody's handler may raise
        if all(isinstance(each, CallOver) for each in _leaves(error)):
            machine.hang_up(link.now())
        else:
            machine.fail(link.now())
            _log_failure(start, error)
    except BaseException:
        machine.fail(link.now())
        raise
    else:
        machine.hang_up(link.now())
    finally:
        link.settle()


def log_peer(machine: Connection, peer: object) -> None:
    """Say why a connection was closed, if that is its own fault; `peer` is its address, as sockets have it."""
    if machine.fault is not None:
        host, port, *_ = cast("tuple[object, ...]", peer) if isinstance(peer, tuple) else ("nowhere", 0)
        log.warning("a connection from %s:%s was closed: %s", host, port, machine.fault)


def log_cancelled(start: Start) -> None:
    """Say that a handler ended as cancelled, though nobody here has cancelled it."""
    text = "call %s on route %s: the handler was cancelled, by what it awaited; the client is told backend_down"
    log.error(text, one_line(start.session_id), one_line(start.route))


def _log_failure(start: Start, error: Exception) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_HERE)] or frames
    place = f"{theirs[-1].filename}:{theirs[-1].lineno}"
    text = "call %s on route %s: the handler raised %s at %s; the client is told backend_down"
    log.error(text, one_line(start.session_id), one_line(start.route), type(error).__name__, place, exc_info=error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in cast("tuple[BaseException, ...]", error.exceptions):
            yield from _leaves(each)
    else:
        yield error
