"""`Tickets`: the session's `TicketBox`, with keys that the HSM makes and wraps (protocol §6, Tickets).

Each key is made and opened by one node, whichever is well: it is wrapped under that node's own key.  When a node goes,
the keys that it made go on.

A key seals for an hour at most and is replaced before that; it stays for opening until its last ticket has expired, and
is then erased with its record of used tickets.  While no key can be had the old one seals until its hour is over; then
there are no tickets, and handshakes are full ones.  Nothing is written anywhere: after a restart every ticket is one
that cannot be used, which its client hears as a full handshake.

Keys age on the clock that nobody sets and that runs on in suspend; `seal` and `open` compare with it themselves, so
that it does not matter when `run` wakes.
"""

from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio

from sottovoce.hsm import Pool, TokenProcessFailed
from sottovoce.identity.tickets import layout
from sottovoce.identity.tickets.events import (
    TicketKeyErased,
    TicketKeyEvent,
    TicketKeyFailed,
    TicketKeyReplaced,
    TicketOutcome,
)
from sottovoce.identity.tickets.key import MAX_SEAL_SECONDS, TicketKey, key_id_of, lives
from sottovoce.identity.tickets.operations import NEW_TICKET_KEY, OPEN_TICKET_KEY, NewTicketKey, OpenTicketKey
from sottovoce.primitives import Entropy, SottovoceError
from sottovoce.session import MAX_TICKET_SECONDS, SealedTicket, TicketState
from sottovoce.transport import Clock

REPLACE_SECONDS = 3_000
"""When a key is replaced: ten minutes remain in which a token that is down may come back without anybody noticing."""
_JITTER_SECONDS = 300
_MIN_LIFETIME_SECONDS = 30
"""Below this a ticket is not worth its bytes."""
_TOLERANCE_SECONDS = 60.0
"""How far the wall clock may be set back without making tickets those of the future."""
_DEADLINE_SECONDS = 10.0
_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_WAKE_SECONDS = 60.0
"""`trio.sleep` stands still in suspend, so nobody sleeps longer than this."""
_SHORTEST_SLEEP_SECONDS = 1.0
_FRACTION_BYTES = 4
_FRACTIONS = 1 << 32


class Tickets:
    """Seals and opens tickets: `first`, then `run`, perhaps again; its owner calls `close`.  A session.TicketBox."""

    def __init__(self, pool: Pool, *, report: Callable[[TicketKeyEvent], None], clock: Clock, entropy: Entropy) -> None:
        """Take the tokens and whom to tell; there are no tickets yet."""
        self.outcomes: Counter[TicketOutcome] = Counter()
        """How often each has come."""
        self._pool = pool
        self._report = report
        self._clock = clock
        self._entropy = entropy
        self._keys: dict[bytes, TicketKey] = {}
        self._current: TicketKey | None = None
        self._replace_at = clock.now()
        self._failures = 0
        self._told_seals = False
        self._is_closed = False
        self._forgettings = 0

    @property
    def key_age_seconds(self) -> float | None:
        """How old the key is that seals; None when there is none."""
        key = self._current
        return None if key is None else self._clock.now() - (key.seals_until - MAX_SEAL_SECONDS)

    async def first(self) -> None:
        """Get the first key.  What prevents it is reported, not raised: calls do without tickets meanwhile."""
        await self._replace()

    async def run(self) -> NoReturn:
        """Replace and erase keys in time, until cancelled; after that nobody does, so `close` or `forget` follows."""
        while True:
            self._erase_dead()
            if self._clock.now() >= self._replace_at:
                await self._replace()
            due = min((self._replace_at, *(self._dies_at(key) for key in self._keys.values())))
            await trio.sleep(min(_WAKE_SECONDS, max(_SHORTEST_SLEEP_SECONDS, due - self._clock.now())))

    def close(self) -> None:
        """Erase every key: no ticket opens any more, none is made.  Closing twice is harmless."""
        self._is_closed = True
        self._current = None
        for key in tuple(self._keys.values()):
            self._erase(key)

    def forget(self) -> None:
        """Erase every key, also one that is under way; `run` gets a new one when it has its next turn."""
        self._forgettings += 1
        self._replace_at = self._clock.now()
        self._failures = 0
        for key in tuple(self._keys.values()):
            self._erase(key)

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        """Make a ticket; None when there is no key for it now, or what is behind it ends too soon."""
        now, key = self._clock.now(), self._current
        if key is None or not key.can_seal(now):
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

    async def _replace(self) -> None:
        forgettings = self._forgettings
        try:
            key, node = await self._new_key()
        except SottovoceError as error:
            self._failed(str(error))
            return
        if self._is_closed or forgettings != self._forgettings:
            key.erase()
            return
        self._failures = 0
        self._keys[key.id] = self._current = key
        fraction = int.from_bytes(self._entropy.random(_FRACTION_BYTES)) / _FRACTIONS
        self._replace_at = self._clock.now() + REPLACE_SECONDS - _JITTER_SECONDS * fraction
        self._report(TicketKeyReplaced(key.id.hex(), node))

    async def _new_key(self) -> tuple[TicketKey, str]:
        """Have a key made and opened by one node, whose own it is wrapped under; gives that node, too.

        What it was opened as is wiped.
        """
        made = await self._pool.call_on(NEW_TICKET_KEY, lambda _: NewTicketKey(), deadline_seconds=_DEADLINE_SECONDS)
        wrapped = made.answer.wrapped
        if key_id_of(wrapped) in self._keys:  # 64 random bits do not meet: something is broken there
            text = "the token process gave a new ticket key the id of one that is in use"
            raise TokenProcessFailed(text)
        opened = await self._pool.call_on(
            OPEN_TICKET_KEY,
            lambda node: OpenTicketKey(wrapped) if node == made.node else None,
            deadline_seconds=_DEADLINE_SECONDS,
        )
        with opened.answer.key as key:
            return TicketKey(wrapped, key, self._clock.now()), made.node

    def _failed(self, reason: str) -> None:
        seconds = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        now = self._clock.now()
        self._failures += 1
        self._replace_at = now + seconds
        seals = self._current is not None and self._current.can_seal(now)
        if self._failures == 1 or seals != self._told_seals:
            self._report(TicketKeyFailed(reason, seconds, seals))
        self._told_seals = seals

    def _erase_dead(self) -> None:
        now = self._clock.now()
        for key in tuple(self._keys.values()):
            if now >= self._dies_at(key):
                self._erase(key)

    def _dies_at(self, key: TicketKey) -> float:
        """When a key is of no use any more: it seals no more, and none of its tickets is left to be opened."""
        return max(key.seals_until, key.opens_until) if key is self._current else key.opens_until

    def _erase(self, key: TicketKey) -> None:
        if key is self._current:
            self._current = None
        del self._keys[key.id]
        key.erase()
        self._report(TicketKeyErased(key.id.hex(), key.sealed, key.spent))


def _lifetime(state: TicketState, wall: float) -> int | None:
    """How long a ticket may live from `wall` on; None if that is not worth it.

    A full handshake of the future means that the clock was set back since: how long ago it was cannot be told.
    """
    left = state.seconds_left(wall)
    if state.verified_at > wall + _TOLERANCE_SECONDS or not left >= _MIN_LIFETIME_SECONDS:
        return None
    return int(min(MAX_TICKET_SECONDS, left))
