"""The record of a ticket key: numbers for its tickets, none twice, and which of them were used.

Two kinds, which pass one suite of tests: the one below for a proxy of one process, and `shared` for several that seal
and open under the same keys.  A record begins when its key is made and is erased with it (protocol §6: a node that has
lost its record of used tickets erases its ticket keys).
"""

from typing import Protocol

from sottovoce.identity.errors import IdentityError

MAX_TICKETS = 1 << 24
"""Of one key: 4 600 a second for an hour.  Bounds the record, and the chance that two nonces meet."""


class NoRecord(IdentityError):
    """There is no place for the record of another key."""


class UsedTickets(Protocol):
    """The record of one key.  Nothing here waits, whatever other processes do."""

    @property
    def sealed(self) -> int:
        """How many numbers were taken, by whoever has the key."""
        ...

    @property
    def spent(self) -> int:
        """How many were used."""
        ...

    def has_room(self) -> bool:
        """Whether there is a next number; after that there is, until it is taken."""
        ...

    def next_number(self) -> int:
        """Take a number that no other ticket of the key has.  Asked only after `has_room`."""
        ...

    def spend(self, number: int) -> bool:
        """Mark a number used; false if it was already, or was never taken, or the record is gone.

        Once at most it is true, whoever asks, in which process, at which moment.
        """
        ...


class TicketRecords(Protocol):
    """The records of all living keys, each in a place of its own."""

    def begin(self, key_id: bytes) -> int:
        """Begin the record of a new key; gives its place.  Raises NoRecord.  The maker of keys alone asks for it."""
        ...

    def of(self, key_id: bytes, place: int) -> UsedTickets:
        """Give the record of a key that was begun."""
        ...

    def erase(self, place: int) -> None:
        """Erase a record.  Who still holds it can neither take numbers nor spend.  The maker of keys alone does."""
        ...


class RecordsHere:
    """Records in the memory of one process: TicketRecords.  A used ticket is a bit."""

    def __init__(self, *, max_tickets: int = MAX_TICKETS) -> None:
        """Begin without any; a key has `max_tickets` numbers."""
        self._max_tickets = max_tickets
        self._records: dict[int, UsedHere] = {}
        self._next_place = 0

    def begin(self, key_id: bytes) -> int:
        """Begin the record of a new key; gives its place."""
        place, self._next_place = self._next_place, self._next_place + 1
        self._records[place] = UsedHere(key_id, self._max_tickets)
        return place

    def of(self, key_id: bytes, place: int) -> "UsedHere":
        """Give the record of a key that was begun; an erased one where it is not there."""
        record = self._records.get(place)
        return record if record is not None and record.key_id == key_id else UsedHere(key_id, 0)

    def erase(self, place: int) -> None:
        """Erase a record."""
        self._records.pop(place).erase()


class UsedHere:
    """UsedTickets of one process."""

    def __init__(self, key_id: bytes, max_tickets: int) -> None:
        self.key_id = key_id
        self.sealed = 0
        self.spent = 0
        self._max_tickets = max_tickets
        self._bits = bytearray()

    def has_room(self) -> bool:
        """Whether there is a next number."""
        return self.sealed < self._max_tickets

    def next_number(self) -> int:
        """Take the next one."""
        number, self.sealed = self.sealed, self.sealed + 1
        return number

    def spend(self, number: int) -> bool:
        """Mark a number used; false if it was already, or was never taken."""
        if number >= min(self.sealed, self._max_tickets):
            return False
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        if self._bits[place] & bit:
            return False
        self._bits[place] |= bit
        self.spent += 1
        return True

    def erase(self) -> None:
        """Let go of all."""
        self._max_tickets = 0
        self._bits.clear()
