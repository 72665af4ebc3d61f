"""Records of ticket keys that several processes share: TicketRecords in one file in memory (`memfd_create`).

The supervisor makes it and gives its descriptor to each worker that it starts.  It holds a few *places*, one a living
key, each of three tables:

    head     1 ‖ key id [8], all zero while the place is free                       one page
    blocks   a byte for every 128 numbers: 0 free, else 1 + how many were taken     by the worker that took the block
    used     a byte for each number: 0 or 1

A worker takes a block of numbers and numbers its tickets out of it, so that workers agree once in 128 tickets.  Taking
a block and spending a ticket are the same step: lock that byte, see that it is 0, make it 1, unlock.  The lock is the
kernel's (`fcntl`, this byte alone, of this process): it goes with the process that held it.  Nobody waits for it:
whoever finds it held is told "not you", for another is taking that very block or spending that very ticket.  So no
worker can hold up another one, not even one that was stopped in the middle.

Killed between any two of these steps a worker leaves a ticket that is unused or used, never one that was used and is
not known to be: it is marked before anybody is told that it may be.  What can be lost is the rest of a block.

Erasing goes the other way: first the head, then the tables; only then the place can be another key's.  Whoever spends
looks at the head after the mark was made.  So a worker that has not heard yet that its key is gone spends nothing.  At
worst its mark makes one ticket of the next key in this place one that counts as used.

The file is read and written by calls and not mapped: then a machine without memory is an error here and not a signal,
and a place costs no more than its pages that were written: 4 KiB for 4 096 tickets.
"""

import fcntl
import os
from collections.abc import Iterator
from typing import Self

from sottovoce.identity.tickets.used import MAX_TICKETS, NoRecord

PLACES = 4
"""Three keys live at most (`keys`); one more for what is not foreseen."""
BLOCK = 128
_PAGE_BYTES = 4_096
_PART_BYTES = 1 << 20
_FREE, _TAKEN = b"\x00", b"\x01"
_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class SharedRecords:
    """The file, in any process that has its descriptor."""

    def __init__(self, descriptor: int, *, max_tickets: int = MAX_TICKETS) -> None:
        """Take the descriptor of a file that `create` made with as many `max_tickets` a key."""
        self.descriptor = descriptor
        self._max_tickets = max_tickets
        self._blocks_bytes = -(-max_tickets // BLOCK)

    @classmethod
    def create(cls, *, max_tickets: int = MAX_TICKETS) -> Self:
        """Make the file, without any record.  Its descriptor is not inherited unless that is asked for."""
        records = cls(os.memfd_create("used tickets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), max_tickets=max_tickets)
        os.ftruncate(records.descriptor, PLACES * records._place_bytes)
        fcntl.fcntl(records.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        return records

    @property
    def is_of_this_version(self) -> bool:
        """Whether an inherited file is as `create` would make it, by its size.

        If it is not, neither the file nor the keys that have their records in it are to be gone on with.
        """
        return os.fstat(self.descriptor).st_size == PLACES * self._place_bytes

    @property
    def _place_bytes(self) -> int:
        return _PAGE_BYTES + self._blocks_bytes + self._max_tickets

    def begin(self, key_id: bytes) -> int:
        """Begin the record of a new key; gives its place.  Raises NoRecord."""
        for place in range(PLACES):
            at = place * self._place_bytes
            if os.pread(self.descriptor, 1, at) == _FREE:
                os.pwrite(self.descriptor, _TAKEN + key_id, at)
                return place
        text = f"{PLACES} ticket keys live already: one has to be erased first"
        raise NoRecord(text)

    def of(self, key_id: bytes, place: int) -> "SharedUsed":
        """Give the record of a key that was begun."""
        at = place * self._place_bytes
        return SharedUsed(self.descriptor, _TAKEN + key_id, at, self._blocks_bytes, self._max_tickets)

    def erase(self, place: int) -> None:
        """Erase a record: the head first, then what was written of the tables."""
        head = place * self._place_bytes
        tables = head + _PAGE_BYTES
        os.pwrite(self.descriptor, bytes(_PAGE_BYTES), head)
        for at, written in _written(self.descriptor, tables, head + self._place_bytes):
            os.pwrite(self.descriptor, bytes(len(written)), at)

    def close(self) -> None:
        """Close the descriptor; the file goes with the last one."""
        os.close(self.descriptor)


class SharedUsed:
    """UsedTickets of one key, for one process."""

    def __init__(self, descriptor: int, head: bytes, at: int, blocks_bytes: int, max_tickets: int) -> None:
        self._descriptor = descriptor
        self._head = head
        self._head_at = at
        self._blocks_at = at + _PAGE_BYTES
        self._used_at = self._blocks_at + blocks_bytes
        self._max_tickets = max_tickets
        self._blocks = range(blocks_bytes)
        self._next_block = 0
        self._numbers = range(0)
        """Those of the block that are still to be taken."""

    @property
    def sealed(self) -> int:
        """How many numbers were taken, by any process."""
        tables = [table for _, table in _written(self._descriptor, self._blocks_at, self._used_at)]
        return sum(sum(table) - (len(table) - table.count(_FREE)) for table in tables)

    @property
    def spent(self) -> int:
        """How many were used, by any process."""
        end = self._used_at + self._max_tickets
        return sum(table.count(_TAKEN) for _, table in _written(self._descriptor, self._used_at, end))

    def has_room(self) -> bool:
        """Whether there is a next number; takes a block for it where there is none left."""
        return self._is_there() and (bool(self._numbers) or self._take_block())

    def next_number(self) -> int:
        """Take a number; how many of the block are taken is written first."""
        number, self._numbers = self._numbers[0], self._numbers[1:]
        block, within = divmod(number, BLOCK)
        os.pwrite(self._descriptor, bytes([within + 2]), self._blocks_at + block)
        return number

    def spend(self, number: int) -> bool:
        """Mark a number used; false if it was already, or was never taken, or the record is gone."""
        if number >= self._max_tickets:
            return False
        block, within = divmod(number, BLOCK)
        if os.pread(self._descriptor, 1, self._blocks_at + block)[0] < within + 2:
            return False
        return self._take(self._used_at + number)

    def _is_there(self) -> bool:
        return os.pread(self._descriptor, len(self._head), self._head_at) == self._head

    def _take_block(self) -> bool:
        """Take a free block; false when there is none, or the record is gone."""
        while self._next_block in self._blocks:
            table = os.pread(self._descriptor, _PAGE_BYTES, self._blocks_at + self._next_block)
            ahead = table.find(_FREE)
            self._next_block += len(table) if ahead < 0 else ahead
            if ahead >= 0 and self._next_block in self._blocks:
                block, self._next_block = self._next_block, self._next_block + 1
                if self._take(self._blocks_at + block):
                    self._numbers = range(block * BLOCK, min((block + 1) * BLOCK, self._max_tickets))
                    return True
                if not self._is_there():
                    return False
        return False

    def _take(self, at: int) -> bool:
        """Make a byte 1 that is 0; true for one at most of all that try.  Where that cannot be done, nobody has it."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except OSError:
            return False
        try:
            if os.pread(self._descriptor, 1, at) != _FREE:
                return False
            os.pwrite(self._descriptor, _TAKEN, at)
            return self._is_there()
        except OSError:  # no memory for another page
            return False
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, at)


def _written(descriptor: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Give what was ever written there, in parts: where, and what.  The rest is zeros, and takes no time."""
    at = begin
    while True:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing more, up to the end of the file
            return
        if at >= end:
            return
        part = os.pread(descriptor, min(os.lseek(descriptor, at, os.SEEK_HOLE), end, at + _PART_BYTES) - at, at)
        yield at, part
        at += len(part)
