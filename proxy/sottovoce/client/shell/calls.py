"""A conversation that outlives its calls: `calls` calls again when a server drains or the connection breaks.

    async for leg in calls("wss://voice.example.com/support", anchor="anchor.json"):
        async with leg as call:
            if leg.reason is not None:
                print("back again:", leg.reason)
            async for item in call: …

A *leg* is one call.  Let the call's own error out of the inner block: if another call may go well after it
(`client.continuity.retry` says which), it is taken in there, and the next leg comes; anything else leaves the loop.  A
block that is left in good order has said all it had to, and there is no further leg.  What has to live on, a position
in a recording, stands in variables outside of the loop.

**What is lost.**  What was on the way in either direction when a call ended: frames that `send` has given to the
network, and everything that the server had not sent.  Nothing is sent again by itself.  What had come in before the
end is still given out.  The backend sees a new call, with the same metadata.

**What stays the same.**  The offer: suites, binding, anchors, credential are read once and are those of every leg, so
that nobody can bring a client to a weaker one by breaking its calls.  A token in a file is the exception: it is read
for each call, so that it can be replaced before it expires.  Name and TCP connection are looked up and made anew.

The first call is tried once: until there was one, there is nothing to come back to.
"""

from types import TracebackType
from typing import Protocol, Self, cast

from sottovoce.client.errors import CallError
from sottovoce.client.settings import CallSettings
from sottovoce.client.shell.call import Call, Link
from sottovoce.client.shell.conversation import Conversation
from sottovoce.primitives import ApiMisuse
from sottovoce.wire import Code


class Way(Protocol):
    """How an event loop's shell waits and makes calls."""

    async def open(self, settings: CallSettings) -> Link:
        """Make a call.  Raises CallError if none comes about."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, and be cancelled if that is due: with 0, too."""
        ...


class Calls:
    """Legs of one conversation: made by `calls`.  Tokens and tickets are wiped when there will be no further leg."""

    def __init__(self, conversation: Conversation, way: Way) -> None:
        self._conversation = conversation
        self._way = way
        self._leg: Leg | None = None

    @property
    def legs(self) -> int:
        """Calls that were open so far."""
        return self._conversation.legs

    @property
    def resumptions(self) -> int:
        """How many of them a ticket has opened."""
        return self._conversation.resumptions

    @property
    def reconnects(self) -> int:
        """How often a call has taken the place of one that was lost."""
        return max(0, self.legs - 1)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> "Leg":
        try:
            await self._way.sleep(0)
        except BaseException:
            self._conversation.finish()
            raise
        if self._leg is not None and not self._leg.was_entered:
            raise ApiMisuse("a leg that was not used: enter each one with `async with leg as call`")
        if self._conversation.is_over:
            raise StopAsyncIteration
        self._leg = Leg(self._conversation, self._way)
        return self._leg


class Leg:
    """One call of a conversation, for use in `async with`."""

    def __init__(self, conversation: Conversation, way: Way) -> None:
        self._conversation = conversation
        self._way = way
        self._link: Link | None = None
        self._opened_at = 0.0
        self.reason = conversation.reason
        """Why the call before this one was lost; None for the first."""
        self.was_entered = False

    async def __aenter__(self) -> Call:
        if self.was_entered:
            raise ApiMisuse("a leg is one call: it cannot be entered again")
        self.was_entered = True
        try:
            self._link = await self._open()
        except BaseException:
            self._conversation.finish()
            raise
        self._opened_at = self._link.now()
        self._conversation.opened(self._link.machine)
        return Call(self._link)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        link = cast("Link", self._link)
        failure, open_seconds = link.failure, link.now() - self._opened_at
        goes_on = False
        try:
            await link.close(Code.NORMAL if error is None else Code.GOING_AWAY)
            goes_on = self._conversation.goes_on(failure, error, open_seconds)
        finally:
            if not goes_on:
                self._conversation.finish()
        return goes_on

    async def _open(self) -> Link:
        """Wait until it is time, and make the call; again and again, where that may help."""
        while True:
            if self.reason is not None:
                await self._way.sleep(self._conversation.delay_seconds())
            try:
                return await self._way.open(self._conversation.settings())
            except CallError as error:
                self._conversation.refused(error)
