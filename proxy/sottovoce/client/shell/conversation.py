"""What lasts over the calls of a conversation: the offer, why the last call was lost, and when to make the next one.

No waiting and no connection: those are the shells' (`shell.calls`, `sync.calls`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec

from sottovoce.client.continuity import STABLE_SECONDS, Backoff, TicketStore, may_pass
from sottovoce.client.credentials import read_token
from sottovoce.client.errors import CallEnded, CallError
from sottovoce.client.machine import CallMachine
from sottovoce.client.settings import CallOptions, CallSettings, settings_for
from sottovoce.primitives import Secret
from sottovoce.transport import Clock, SystemEntropy

GIVE_UP_AFTER_SECONDS = 120.0


class Conversation:
    """Calls that follow each other.  Tokens and tickets of its own are wiped by `finish`."""

    def __init__(self, url: str, options: CallOptions, clock: Clock, give_up_after: float) -> None:
        """Check everything and read every file.  Raises CallMisconfigured."""
        self._own_token = _only_token(options.token)
        self._own_tickets = TicketStore() if options.tickets is None else None
        if self._own_token is not None:
            options = msgspec.structs.replace(options, token=self._own_token)
        if self._own_tickets is not None:
            options = msgspec.structs.replace(options, tickets=self._own_tickets)
        try:
            self._settings = settings_for(url, options)
        except BaseException:
            if self._own_token is not None:
                self._own_token.wipe()
            raise
        self._token_file = options.token if isinstance(options.token, Path) else None
        self._clock = clock
        self._give_up_after = give_up_after
        self._backoff = Backoff(SystemEntropy())
        self._delay = 0.0
        self._lost_at = 0.0
        self.reason: CallError | None = None
        """Why the call before the next one was lost; None before the first."""
        self.is_over = False
        """There will be no further call."""
        self.legs = 0
        self.resumptions = 0

    def delay_seconds(self) -> float:
        """Tell how long to wait before the next attempt."""
        return 0.0 if self.reason is None else min(self._delay, max(0.0, self._remaining_seconds()))

    def settings(self) -> CallSettings:
        """Give what the next attempt is made with.  Raises CallMisconfigured when the token's file is gone."""
        if self.reason is None or self._token_file is None:
            return self._settings
        return self._settings.with_token_of(self._token_file)

    def refused(self, error: CallError) -> None:
        """Take note that an attempt failed.  Raises if there is to be no other."""
        if self.reason is None:
            raise error
        if not may_pass(error) or self._remaining_seconds() <= 0:
            raise error from self.reason
        self._delay = self._backoff.after(error, 0.0)

    def opened(self, machine: CallMachine) -> None:
        """Take note of a call that is open."""
        self.legs += 1
        self.resumptions += machine.statistics.is_resumed

    def goes_on(self, failure: CallError | None, error: BaseException | None, open_seconds: float) -> bool:
        """Take note that a call is over, whose block was left by `error`; gives whether another one is to be made."""
        if error is None or failure is None or not may_pass(failure):
            return False
        if not all(leaf is failure or isinstance(leaf, CallEnded) for leaf in _leaves(error)):
            return False
        if self.reason is None or open_seconds >= STABLE_SECONDS:
            self._lost_at = self._clock.now()
        if self._remaining_seconds() <= 0:
            return False
        self._delay = self._backoff.after(failure, open_seconds)
        self.reason = failure.with_traceback(None)  # whose frames would keep alive all that the leg had in them
        return True

    def finish(self) -> None:
        """There will be no further call: wipe what one would have needed."""
        self.is_over = True
        self._settings.wipe_token()
        if self._own_token is not None:
            self._own_token.wipe()
        if self._own_tickets is not None:
            self._own_tickets.erase()

    def _remaining_seconds(self) -> float:
        return self._lost_at + self._give_up_after - self._clock.now()


def _only_token(token: str | Path | Secret | None) -> Secret | None:
    """Read what can be read but once: a text, which nobody else is to keep, or a pipe."""
    if isinstance(token, str) or (isinstance(token, Path) and token.exists() and not token.is_file()):
        return read_token(token)
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in cast("tuple[BaseException, ...]", error.exceptions):
            yield from _leaves(each)
    else:
        yield error
