"""What a user of an asynchronous client holds: `Call`, the same on every event loop.  How bytes move is its link's."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from sottovoce.client.errors import CallError
from sottovoce.client.items import Audio, Ended, Item, Mark, Statistics
from sottovoce.client.machine import CallMachine
from sottovoce.wire import Code


class Link(Protocol):
    """A call's connection, as an event loop's shell serves it."""

    machine: CallMachine

    @property
    def failure(self) -> CallError | None:
        """Why the call ended otherwise than well."""
        ...

    def now(self) -> float:
        """Give the time of the call's clock."""
        ...

    async def say(self, seal: Callable[[float], bool]) -> None:
        """Have something sealed, as soon as it may be, and write it.  Raises CallError if the call is over, or ends."""
        ...

    async def next_item(self) -> Item | None:
        """Wait for the next item; None behind the last one.  Raises the call's failure.  Cancelled, it took nothing."""
        ...

    async def close(self, code: int) -> None:
        """End the call and wait until the connection is closed.  Cancelled, it waits for a second at most."""
        ...


class Call:
    """A call that is open: made by `connect`.

    Several tasks may send; one reads, in order, whatever comes: `async for item in call`.  Where the call ends well the
    last item is `Ended`; where it does not, a `CallError` is raised behind all items, and by whoever wants to send.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def send(
        self, frame: bytes, *, talk_spurt: bool = False, end_of_turn: bool = False, timestamp: int | None = None
    ) -> None:
        """Send one frame of audio, an empty one for silence.

        Waits while the connection is full, or while the keys are too old; frames leave in the order of the calls.
        """
        machine = self._link.machine
        await self._link.say(
            lambda now: machine.send_audio(
                frame, now, talk_spurt=talk_spurt, end_of_turn=end_of_turn, timestamp=timestamp
            )
        )

    async def send_data(self, data: bytes) -> None:
        """Send up to 8 000 bytes, in a call without audio (`codec=Codec.NONE`); they arrive whole, as one `Data`."""
        await self._link.say(lambda now: self._link.machine.send_data(data, now))

    async def dtmf(self, event: int, duration_ms: int = 160) -> None:
        """Press a key of the telephone: 0–9, 10 for *, 11 for #, 12–15 for A–D."""
        await self._link.say(lambda now: self._link.machine.send_dtmf(event, duration_ms, now))

    async def json(self, value: Mapping[str, object]) -> None:
        """Send a JSON object of at most 4 000 bytes to the application at the other end."""
        await self._link.say(lambda now: self._link.machine.send_json(value, now))

    async def mute(self, *, muted: bool = True) -> None:
        """Say that the microphone went off, or on."""
        await self._link.say(lambda now: self._link.machine.send_mute(now, muted=muted))

    async def mark_played(self, mark: Mark | str) -> None:
        """Answer a `Mark`: all audio that came before it has been played."""
        name = mark.name if isinstance(mark, Mark) else mark
        await self._link.say(lambda now: self._link.machine.send_mark(name, now))

    async def close(self, code: int = Code.NORMAL) -> None:
        """End the call, and wait until the server has heard it, for five seconds at most.  Harmless when it is over."""
        await self._link.close(code)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        item = await self._link.next_item()
        if item is None:
            raise StopAsyncIteration
        return item

    def audio(self) -> AsyncIterator[Audio]:
        """Iterate over the audio alone.  Everything else that comes meanwhile is passed over, marks included."""
        return _AudioAlone(self)

    @property
    def statistics(self) -> Statistics:
        """The figures up to now; they stay when the call is over."""
        return self._link.machine.statistics

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None while it goes on."""
        return self._link.machine.ended


class _AudioAlone:
    """No generator: one that is left before its end would have to be closed by hand."""

    def __init__(self, items: AsyncIterator[Item]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Audio]:
        return self

    async def __anext__(self) -> Audio:
        while not isinstance(item := await self._items.__anext__(), Audio):
            pass
        return item
