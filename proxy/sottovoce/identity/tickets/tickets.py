"""`Tickets`: the session's `TicketBox`, in each process that has calls (protocol §6, Tickets).

It seals and opens under the keys that `TicketKeys` has made, here or in another process, and knows of used tickets what
all processes know (`used`).  It has keys opened by the token, and lets go of those that live no more.
"""

from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio

from sottovoce.hsm import Pool
from sottovoce.identity.tickets import layout
from sottovoce.identity.tickets.events import TicketKeyEvent, TicketOutcome
from sottovoce.identity.tickets.key import TicketKey, lives
from sottovoce.identity.tickets.keys import (
    MAX_SEAL_SECONDS,
    WAKE_SECONDS,
    KeyFailures,
    open_ticket_key,
)
from sottovoce.identity.tickets.operations import LivingTicketKey
from sottovoce.identity.tickets.used import TicketRecords
from sottovoce.primitives import Entropy, SottovoceError
from sottovoce.session import MAX_TICKET_SECONDS, SealedTicket, TicketState
from sottovoce.transport import Clock

_MIN_LIFETIME_SECONDS = 30
"""Below this a ticket is not worth its bytes."""
_TOLERANCE_SECONDS = 60.0
"""How far the wall clock may be set back without making tickets those of the future."""


class Tickets:
    """Seals and opens tickets, under the keys that it is `told`; its owner calls `close`.  A session.TicketBox.

    Beside the maker of keys its `admit` and `told` are called by that.  A worker calls `told` with what it hears, then
    `first`, and has `run` go on.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        records: TicketRecords,
        report: Callable[[TicketKeyEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take the tokens, the records of the keys, and whom to tell what failed; there are no tickets yet."""
        self.outcomes: Counter[TicketOutcome] = Counter()
        """How often each has come."""
        self._pool = pool
        self._records = records
        self._clock = clock
        self._entropy = entropy
        self._failures = KeyFailures(report)
        self._told: tuple[LivingTicketKey, ...] = ()
        self._news = trio.Event()
        self._keys: dict[bytes, TicketKey] = {}
        self._newest_first: tuple[TicketKey, ...] = ()
        self._is_closed = False

    @property
    def key_age_seconds(self) -> float | None:
        """How old the key is that seals; None when there is none."""
        now = self._clock.now()
        key = next((each for each in self._newest_first if each.living.seals_from <= now), None)
        return None if key is None else now - (key.living.seals_until - MAX_SEAL_SECONDS)

    def told(self, living: tuple[LivingTicketKey, ...]) -> None:
        """Take all keys that live: those that are not among them are erased here, `first` and `run` open new ones."""
        self._told = living
        self._keep_told()
        self._news.set()
        self._news = trio.Event()

    async def admit(self, living: LivingTicketKey) -> None:
        """Have one key opened.  Raises HsmError."""
        with await open_ticket_key(self._pool, living) as secret:
            if not self._is_closed and living.id not in self._keys:
                key = TicketKey(living, secret, self._records.of(living.id, living.place))
                self._keep({**self._keys, living.id: key})

    async def first(self) -> None:
        """Open what was told so far.  What does not open is reported, not raised, and left to `run`."""
        await self._open_missing()

    async def run(self) -> NoReturn:
        """Open each key that is told of, again and again where that fails, until cancelled.  Only in a worker.

        A key whose time is over it erases also if nobody says so.
        """
        while True:
            news = self._news
            wait = await self._open_missing()
            with trio.move_on_after(wait):
                await news.wait()

    def close(self) -> None:
        """Erase every key: no ticket opens any more, none is made.  Closing twice is harmless."""
        self._is_closed = True
        self._keep({})

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        """Make a ticket; None when there is no key for it now, or what is behind it ends too soon."""
        now = self._clock.now()
        key = next((each for each in self._newest_first if each.can_seal(now)), None)
        if key is None:
            self.outcomes[TicketOutcome.NOT_ISSUED_NO_KEY] += 1
            return None
        lifetime = _lifetime(state, wall)
        if lifetime is None:
            self.outcomes[TicketOutcome.NOT_ISSUED_TOO_SHORT] += 1
            return None
        content = layout.Content.of(state, lifetime, wall, now)
        ticket = key.seal(content, state.authority, state.path, self._entropy)
        self.outcomes[TicketOutcome.NOT_ISSUED_TOO_LARGE if ticket is None else TicketOutcome.ISSUED] += 1
        return None if ticket is None else SealedTicket(ticket, lifetime)

    def open(self, ticket: bytes, authority: bytes, path: bytes, wall: float) -> TicketState | None:
        """Give what is in a ticket that was sealed here for this authority and path and has not expired; else None."""
        head = layout.decode_head_untrusted(ticket)
        key = None if head is None else self._keys.get(head.key_id)
        if head is None or key is None:
            self.outcomes[TicketOutcome.REFUSED_UNKNOWN] += 1
            return None
        content = key.open(ticket, head, authority, path)
        if content is None:
            self.outcomes[TicketOutcome.REFUSED_UNOPENED] += 1
            return None
        now = self._clock.now()
        if lives(content, wall, now, tolerance_seconds=_TOLERANCE_SECONDS):
            state = content.to_state(authority, path)
            # By so much the wall clock was set back since: the day since the last signatures goes on all the same.
            set_back = max(0.0, (now - content.issued_now) - (wall - content.issued_wall))
            return msgspec.structs.replace(state, verified_at=state.verified_at - set_back)
        content.psk.wipe()
        self.outcomes[TicketOutcome.REFUSED_EXPIRED] += 1
        return None

    def spend(self, ticket: bytes) -> bool:
        """Mark a ticket used that was opened; false if it was already, or its key is gone."""
        head = layout.decode_head_untrusted(ticket)
        key = None if head is None else self._keys.get(head.key_id)
        is_first = head is not None and key is not None and key.spend(head)
        self.outcomes[TicketOutcome.USED if is_first else TicketOutcome.REFUSED_USED_BEFORE] += 1
        return is_first

    async def _open_missing(self) -> float:
        """Open what was told and is not here; gives the seconds until it is to be tried again."""
        reason, over = "", self._clock.now() - MAX_TICKET_SECONDS
        for living in self._told:
            if living.id not in self._keys and living.seals_until > over:
                try:
                    await self.admit(living)
                except SottovoceError as error:
                    reason = str(error)
        self._keep_told()  # what was told may be another since
        if not reason:
            self._failures.over()
            return WAKE_SECONDS
        now = self._clock.now()
        seals = any(each.can_seal(now) for each in self._newest_first)
        return self._failures.add(reason, seals=seals)

    def _keep_told(self) -> None:
        over = self._clock.now() - MAX_TICKET_SECONDS
        alive = {each.id for each in self._told if each.seals_until > over}
        self._keep({key_id: key for key_id, key in self._keys.items() if key_id in alive})

    def _keep(self, keys: dict[bytes, TicketKey]) -> None:
        """Have these and no others; what goes is erased."""
        gone = [key for key_id, key in self._keys.items() if key_id not in keys]
        self._keys = keys
        self._newest_first = tuple(sorted(keys.values(), key=lambda key: key.living.seals_from, reverse=True))
        for key in gone:
            key.erase()


def _lifetime(state: TicketState, wall: float) -> int | None:
    """How long a ticket may live from `wall` on; None if that is not worth it.

    A full handshake of the future means that the clock was set back since: how long ago it was cannot be told.
    """
    left = state.seconds_left(wall)
    if state.verified_at > wall + _TOLERANCE_SECONDS or not left >= _MIN_LIFETIME_SECONDS:
        return None
    return int(min(MAX_TICKET_SECONDS, left))
