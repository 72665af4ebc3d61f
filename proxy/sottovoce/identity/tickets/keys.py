"""`TicketKeys`: has ticket keys made, tells who is to use them, and erases them (protocol §6, Tickets).

It seals and opens nothing: that is `Tickets`, in the same process or in many others.

    TicketKeys ──living keys──▶ Tickets       one process: `admit` and `told` are its methods
               ──living keys──▶ workers ─▶ Tickets       `admit` is `prove_ticket_key`, `told` sends to all workers

Each key is made and opened by one node, whichever is well: it is wrapped under that node's own key.  When a node goes,
the keys that it made go on.

A key seals for an hour at most and is replaced before that; it stays for opening as long as a ticket lives that was
sealed at the last moment, and is then erased with its record of used tickets.  One that has sealed none goes as soon as
it may seal no more.  While no key can be had the old one seals until its hour is over; then there are no tickets, and
handshakes are full ones.  Nothing is written anywhere: after a restart every ticket is one that cannot be used, which
its client hears as a full handshake.

Keys age on the clock that nobody sets and that runs on in suspend; whoever seals and opens compares with it, too, so
that it does not matter when `run` wakes.
"""

from collections.abc import Awaitable, Callable
from typing import NoReturn

import trio

from sottovoce.hsm import Pool, TokenProcessFailed
from sottovoce.identity.tickets.events import TicketKeyErased, TicketKeyEvent, TicketKeyFailed, TicketKeyReplaced
from sottovoce.identity.tickets.operations import (
    NEW_TICKET_KEY,
    OPEN_TICKET_KEY,
    LivingTicketKey,
    NewTicketKey,
    OpenTicketKey,
)
from sottovoce.identity.tickets.used import TicketRecords
from sottovoce.primitives import Entropy, Secret, SottovoceError
from sottovoce.session import MAX_TICKET_SECONDS
from sottovoce.transport import Clock

MAX_SEAL_SECONDS = 3_600
"""A key that was not replaced by then seals no more (protocol §6: at least hourly)."""
REPLACE_SECONDS = 3_000
"""When a key is replaced: ten minutes remain in which a token that is down may come back without anybody noticing."""
HAND_OUT_SECONDS = 5.0
"""So long a new key opens before it seals, that no ticket is shown to a process that has not got its key yet."""
_JITTER_SECONDS = 300
_DEADLINE_SECONDS = 10.0
_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
WAKE_SECONDS = 60.0
"""`trio.sleep` stands still in suspend, so nobody sleeps longer than this."""
_SHORTEST_SLEEP_SECONDS = 1.0
_FRACTION_BYTES = 4
_FRACTIONS = 1 << 32

Admit = Callable[[LivingTicketKey], Awaitable[None]]
"""Sees to it that a key opens; raises SottovoceError if it does not, and another is made."""
Told = Callable[[tuple[LivingTicketKey, ...]], None]
"""Is told all keys that live, the newest last, whenever that changes.  Whoever uses others erases these."""


async def open_ticket_key(pool: Pool, living: LivingTicketKey) -> Secret:
    """Have a key opened by the node that made it; the caller wipes it.  Raises HsmError."""
    opened = await pool.call_on(
        OPEN_TICKET_KEY,
        lambda node: OpenTicketKey(living.wrapped) if node == living.node else None,
        deadline_seconds=_DEADLINE_SECONDS,
    )
    return opened.answer.key


async def prove_ticket_key(pool: Pool, living: LivingTicketKey) -> None:
    """See that a key opens, for one that only other processes use.  Raises HsmError."""
    with await open_ticket_key(pool, living):
        pass


class KeyFailures:
    """Failures in a row: when to try again, and whether somebody is to be told."""

    def __init__(self, report: Callable[[TicketKeyEvent], None]) -> None:
        """Tell `report` of the first one, and again when tickets cease."""
        self._report = report
        self._count = 0
        self._told_seals = False

    def add(self, reason: str, *, seals: bool) -> float:
        """Take one; gives the seconds until the next try."""
        seconds = _RETRY_SECONDS[min(self._count, len(_RETRY_SECONDS) - 1)]
        self._count += 1
        if self._count == 1 or seals != self._told_seals:
            self._report(TicketKeyFailed(reason, seconds, seals))
        self._told_seals = seals
        return seconds

    def over(self) -> None:
        """It has worked."""
        self._count = 0


class TicketKeys:
    """The maker of keys, one for all processes: `first`, then `run`, perhaps again; its owner calls `close`."""

    def __init__(  # noqa: PLR0913  whom it asks and whom it tells
        self,
        pool: Pool,
        *,
        records: TicketRecords,
        admit: Admit,
        told: Told,
        report: Callable[[TicketKeyEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take the tokens, the records, and whom to tell; there are no keys yet."""
        self._pool = pool
        self._records = records
        self._admit = admit
        self._tell = told
        self._report = report
        self._clock = clock
        self._entropy = entropy
        self._failures = KeyFailures(report)
        self._keys: tuple[LivingTicketKey, ...] = ()
        self._ends: dict[bytes, float] = {}
        """When each seals no more: at the end of its hour, or when the next one does."""
        self._replace_at = clock.now()
        self._is_closed = False
        self._forgettings = 0

    @property
    def living(self) -> tuple[LivingTicketKey, ...]:
        """All keys, the newest last: what a process that begins now is told first."""
        return self._keys

    def take_over(self, living: tuple[LivingTicketKey, ...]) -> None:
        """Go on with keys that another program has made in the same records and that are in use, instead of `first`."""
        for key in living:
            self._append(key)
        if living:
            self._replace_at = living[-1].seals_until - MAX_SEAL_SECONDS + self._replacing_seconds()

    def hand_over(self) -> tuple[LivingTicketKey, ...]:
        """Give all keys to another program, which goes on with them: none is made any more, also not one under way."""
        self._is_closed = True
        return self._keys

    async def first(self) -> None:
        """Get the first key.  What prevents it is reported, not raised: calls do without tickets meanwhile."""
        await self._replace()

    async def run(self) -> NoReturn:
        """Replace and erase keys in time, until cancelled; after that nobody does, so `close` or `forget` follows."""
        while True:
            self._erase_dead()
            if self._clock.now() >= self._replace_at:
                await self._replace()
            due = min((self._replace_at, *map(self._dies_at, self._keys)))
            await trio.sleep(min(WAKE_SECONDS, max(_SHORTEST_SLEEP_SECONDS, due - self._clock.now())))

    def close(self) -> None:
        """Erase every key: no ticket opens any more, none is made.  Closing twice is harmless."""
        self._is_closed = True
        self._erase(self._keys)

    def forget(self) -> None:
        """Erase every key, also one that is under way; `run` gets a new one when it has its next turn."""
        self._forgettings += 1
        self._replace_at = self._clock.now()
        self._failures.over()
        self._erase(self._keys)

    async def _replace(self) -> None:
        forgettings = self._forgettings
        try:
            key = await self._new_key()
        except SottovoceError as error:
            now = self._clock.now()
            seals = any(each.may_seal(now) for each in self._keys)
            self._replace_at = now + self._failures.add(str(error), seals=seals)
            return
        if self._is_closed or forgettings != self._forgettings:
            self._tell(self._keys)
            self._records.erase(key.place)
            return
        self._failures.over()
        self._append(key)
        self._replace_at = self._clock.now() + self._replacing_seconds()
        self._tell(self._keys)
        self._report(TicketKeyReplaced(key.id.hex(), key.node))

    def _append(self, key: LivingTicketKey) -> None:
        self._ends = {each: min(end, key.seals_from) for each, end in self._ends.items()} | {key.id: key.seals_until}
        self._keys = (*self._keys, key)

    def _replacing_seconds(self) -> float:
        fraction = int.from_bytes(self._entropy.random(_FRACTION_BYTES)) / _FRACTIONS
        return REPLACE_SECONDS - _JITTER_SECONDS * fraction

    async def _new_key(self) -> LivingTicketKey:
        """Have a key made by one node, begin its record, and see that it opens."""
        made = await self._pool.call_on(NEW_TICKET_KEY, lambda _: NewTicketKey(), deadline_seconds=_DEADLINE_SECONDS)
        now = self._clock.now()
        wrapped = made.answer.wrapped
        seals_from = now + HAND_OUT_SECONDS if any(each.may_seal(now) for each in self._keys) else now
        key = LivingTicketKey(wrapped, made.node, 0, seals_from, now + MAX_SEAL_SECONDS)
        if any(key.id == each.id for each in self._keys):  # 64 random bits do not meet: something is broken there
            text = "the token process gave a new ticket key the id of one that is in use"
            raise TokenProcessFailed(text)
        key = LivingTicketKey(wrapped, made.node, self._records.begin(key.id), seals_from, key.seals_until)
        try:
            await self._admit(key)
        except BaseException:
            self._records.erase(key.place)
            raise
        return key

    def _erase_dead(self) -> None:
        now = self._clock.now()
        self._erase(tuple(key for key in self._keys if now >= self._dies_at(key)))

    def _dies_at(self, key: LivingTicketKey) -> float:
        """When a key is of no use any more: it seals no more, and none of its tickets is left to be opened."""
        has_sealed = self._records.of(key.id, key.place).sealed > 0
        return self._ends[key.id] + (MAX_TICKET_SECONDS if has_sealed else 0)

    def _erase(self, keys: tuple[LivingTicketKey, ...]) -> None:
        """Have it erased where it is used, then its record: whoever has not heard yet can spend nothing any more."""
        if not keys:
            return
        self._keys = tuple(key for key in self._keys if key not in keys)
        self._tell(self._keys)
        for key in keys:
            del self._ends[key.id]
            record = self._records.of(key.id, key.place)
            erased = TicketKeyErased(key.id.hex(), record.sealed, record.spent)
            self._records.erase(key.place)
            self._report(erased)
