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

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Required, Self, TypedDict, Unpack, cast

import msgspec
import trio

from sottovoce.client.continuity import STABLE_SECONDS, Backoff, TicketStore, may_pass
from sottovoce.client.credentials import read_token
from sottovoce.client.errors import CallEnded, CallError
from sottovoce.client.settings import CallOptions, CallSettings, settings_for
from sottovoce.client.trio.call import Call
from sottovoce.client.trio.link import Link
from sottovoce.client.trio.opening import Dial, dial_tcp, open_call
from sottovoce.primitives import ApiMisuse, Secret, Signer, Suite
from sottovoce.session import Anchor
from sottovoce.transport import Clock, PqPolicy, SystemClock, SystemEntropy
from sottovoce.wire import Code, Codec

GIVE_UP_AFTER_SECONDS = 120.0


class ConnectOptions(TypedDict, total=False):
    """What `connect` takes, by the same names."""

    anchor: Required[str | Path | bytes | tuple[Anchor, ...]]
    ca: str | Path | bytes | None
    token: str | Path | Secret | None
    key: str | Path | Signer | None
    certificate: str | Path | None
    certificate_key: str | Path | None
    codec: Codec
    receive_codec: Codec | None
    frame_ms: int | None
    metadata: Mapping[str, object] | None
    pq: PqPolicy
    suites: tuple[Suite, ...]
    keepalive: float
    tickets: TicketStore | None


def calls(
    url: str,
    *,
    give_up_after: float = GIVE_UP_AFTER_SECONDS,
    dial: Dial = dial_tcp,
    clock: Clock | None = None,
    **options: Unpack[ConnectOptions],
) -> "Calls":
    """Call, and call again when that may help; for use in `async for`, as this module's text tells.

    - `options`: those of `connect`, with the same meaning.  Without `tickets` the calls have a store of their own.
    - `give_up_after`: seconds without a lasting call, after which the last attempt's error is raised.
    - `dial`: makes each connection.  `clock`: for tests.

    Raises CallMisconfigured; every other CallError comes from `async with`.
    """
    chosen = CallOptions(**options)
    token, own_token, own_store = chosen.token, None, None
    if isinstance(token, str) or (isinstance(token, Path) and token.exists() and not token.is_file()):
        own_token = read_token(token)  # a pipe, too, can be read once only
        chosen = msgspec.structs.replace(chosen, token=own_token)
    if chosen.tickets is None:
        own_store = TicketStore()
        chosen = msgspec.structs.replace(chosen, tickets=own_store)
    try:
        settings = settings_for(url, chosen)
    except BaseException:
        if own_token is not None:
            own_token.wipe()
        raise
    renewed = chosen.token if isinstance(chosen.token, Path) else None
    return Calls(settings, renewed, own_token, own_store, _Line(clock or SystemClock(), dial, give_up_after))


class _Line(msgspec.Struct, frozen=True):
    """How calls are connected."""

    clock: Clock
    dial: Dial
    give_up_after: float


class Calls:
    """Legs of one conversation: made by `calls`.  Tokens and tickets are wiped when there will be no further leg."""

    def __init__(
        self,
        settings: CallSettings,
        token_file: Path | None,
        own_token: Secret | None,
        own_tickets: TicketStore | None,
        line: _Line,
    ) -> None:
        self._settings = settings
        self._token_file = token_file
        self._own_token = own_token
        self._own_tickets = own_tickets
        self._line = line
        self._backoff = Backoff(SystemEntropy())
        self._leg: Leg | None = None
        self._reason: CallError | None = None
        self._delay = 0.0
        self._lost_at = 0.0
        self._is_over = False
        self.legs = 0
        """Calls that were open so far."""
        self.resumptions = 0
        """How many of them a ticket has opened."""

    @property
    def reconnects(self) -> int:
        """How often a call has taken the place of one that was lost."""
        return max(0, self.legs - 1)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> "Leg":
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            self.finish()
            raise
        if self._leg is not None and not self._leg.was_entered:
            raise ApiMisuse("a leg that was not used: enter each one with `async with leg as call`")
        if self._is_over:
            raise StopAsyncIteration
        self._leg = Leg(self, self._reason)
        return self._leg

    # What legs call.

    async def open(self) -> Link:
        """Wait until it is time, and make the next call; again and again, where that may help."""
        try:
            link = await self._open()
        except BaseException:
            self.finish()
            raise
        self.legs += 1
        self.resumptions += link.machine.statistics.is_resumed
        return link

    def lost(self, failure: CallError, open_seconds: float) -> bool:
        """Take note that a call is over; gives whether there is time for another one."""
        if self._reason is None or open_seconds >= STABLE_SECONDS:
            self._lost_at = self._line.clock.now()
        if self._remaining_seconds() <= 0:
            return False
        self._delay = self._backoff.after(failure, open_seconds)
        self._reason = failure.with_traceback(None)  # whose frames would keep alive all that the leg had in them
        return True

    def finish(self) -> None:
        """There will be no further call: wipe what one would have needed."""
        self._is_over = True
        self._settings.wipe_token()
        if self._own_token is not None:
            self._own_token.wipe()
        if self._own_tickets is not None:
            self._own_tickets.erase()

    async def _open(self) -> Link:
        while True:
            settings = self._settings
            if self._reason is not None:
                await trio.sleep(min(self._delay, max(0.0, self._remaining_seconds())))
                settings = settings if self._token_file is None else settings.with_token_of(self._token_file)
            try:
                return await open_call(settings, self._line.clock, self._line.dial)
            except CallError as error:
                if self._reason is None:
                    raise
                if not may_pass(error) or self._remaining_seconds() <= 0:
                    raise error from self._reason
                self._delay = self._backoff.after(error, 0.0)

    def _remaining_seconds(self) -> float:
        return self._lost_at + self._line.give_up_after - self._line.clock.now()


class Leg:
    """One call of a conversation, for use in `async with`."""

    def __init__(self, calls: Calls, reason: CallError | None) -> None:
        self._calls = calls
        self._link: Link | None = None
        self._opened_at = 0.0
        self.reason = reason
        """Why the call before this one was lost; None for the first."""
        self.was_entered = False

    async def __aenter__(self) -> Call:
        if self.was_entered:
            raise ApiMisuse("a leg is one call: it cannot be entered again")
        self.was_entered = True
        self._link = await self._calls.open()
        self._opened_at = self._link.now()
        return Call(self._link)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        link = cast("Link", self._link)
        failure, open_seconds = link.failure, link.now() - self._opened_at
        goes_on = False
        try:
            await link.close(Code.NORMAL if error is None else Code.GOING_AWAY)
            if error is not None and failure is not None and may_pass(failure):
                is_the_calls = all(leaf is failure or isinstance(leaf, CallEnded) for leaf in _leaves(error))
                goes_on = is_the_calls and self._calls.lost(failure, open_seconds)
        finally:
            if not goes_on:
                self._calls.finish()
        return goes_on


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in cast("tuple[BaseException, ...]", error.exceptions):
            yield from _leaves(each)
    else:
        yield error
