"""A conversation that outlives its calls, for programs that block; what it means is told in `client.shell.calls`.

for leg in calls("wss://voice.example.com/support", anchor="anchor.json"):
    with leg as call:
        if leg.reason is not None:
            print("back again:", leg.reason)
        for item in call: …
"""

import time
from types import TracebackType
from typing import Self, Unpack, cast

from sottovoce.client.errors import CallError
from sottovoce.client.settings import CallOptions, ConnectOptions
from sottovoce.client.shell import GIVE_UP_AFTER_SECONDS, Conversation
from sottovoce.client.sync.call import Call
from sottovoce.client.sync.link import Link
from sottovoce.client.sync.opening import Dial, dial_tcp, open_call
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import Clock, SystemClock
from sottovoce.wire import Code


def calls(
    url: str,
    *,
    give_up_after: float = GIVE_UP_AFTER_SECONDS,
    dial: Dial = dial_tcp,
    clock: Clock | None = None,
    **options: Unpack[ConnectOptions],
) -> "Calls":
    """Call, and call again when that may help; for use in `for`.

    - `options`: those of `connect`, with the same meaning.  Without `tickets` the calls have a store of their own.
    - `give_up_after`: seconds without a lasting call, after which the last attempt's error is raised.
    - `dial`: makes each connection.  `clock`: for tests.

    Raises CallMisconfigured; every other CallError comes from `with`.
    """
    clock = clock or SystemClock()
    return Calls(Conversation(url, CallOptions(**options), clock, give_up_after), clock, dial)


class Calls:
    """Legs of one conversation: made by `calls`.  Tokens and tickets are wiped when there will be no further leg."""

    def __init__(self, conversation: Conversation, clock: Clock, dial: Dial) -> None:
        self._conversation = conversation
        self._clock = clock
        self._dial = dial
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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> "Leg":
        if self._leg is not None and not self._leg.was_entered:
            raise ApiMisuse("a leg that was not used: enter each one with `with leg as call`")
        if self._conversation.is_over:
            raise StopIteration
        self._leg = Leg(self._conversation, self._clock, self._dial)
        return self._leg


class Leg:
    """One call of a conversation, for use in `with`."""

    def __init__(self, conversation: Conversation, clock: Clock, dial: Dial) -> None:
        self._conversation = conversation
        self._clock = clock
        self._dial = dial
        self._link: Link | None = None
        self._opened_at = 0.0
        self.reason = conversation.reason
        """Why the call before this one was lost; None for the first."""
        self.was_entered = False

    def __enter__(self) -> Call:
        if self.was_entered:
            raise ApiMisuse("a leg is one call: it cannot be entered again")
        self.was_entered = True
        try:
            self._link = self._open()
        except BaseException:
            self._conversation.finish()
            raise
        self._opened_at = self._clock.now()
        self._conversation.opened(self._link.machine)
        return Call(self._link)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        link = cast("Link", self._link)
        failure, open_seconds = link.failure, self._clock.now() - self._opened_at
        goes_on = False
        try:
            link.close(Code.NORMAL if error is None else Code.GOING_AWAY)
            goes_on = self._conversation.goes_on(failure, error, open_seconds)
        finally:
            if not goes_on:
                self._conversation.finish()
        return goes_on

    def _open(self) -> Link:
        """Wait until it is time, and make the call; again and again, where that may help."""
        while True:
            if self.reason is not None:
                time.sleep(self._conversation.delay_seconds())
            try:
                return open_call(self._conversation.settings(), self._clock, self._dial)
            except CallError as error:
                self._conversation.refused(error)
