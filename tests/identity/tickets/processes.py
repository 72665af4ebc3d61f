"""Real processes at one shared record: run as a program by `test_processes`, prints one JSON object.

A program of its own, since it forks: nothing else runs in it, no thread, no event loop.
"""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sottovoce.identity.tickets.shared import BLOCK, SharedRecords
from sottovoce.identity.tickets.used import UsedTickets

KEY = b"k" * 8
PROCESSES = 8
TICKETS = 200
STEPS = 18
"""More than a spending has calls of the system, and so many that the taking of a block is among them."""


def child(do: Callable[[Callable[[int], None]], None]) -> tuple[int, int]:
    """Fork; the child does it, and tells numbers.  Gives its id and where to read them."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    try:
        os.close(reading)
        do(lambda number: void(os.write(writing, number.to_bytes(4))))
    finally:
        os._exit(0)


def void(_: object) -> None:
    """Nothing comes of it."""


def told(reading: int) -> list[int]:
    """Read what a child told until it ended."""
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    return [int.from_bytes(data[at : at + 4]) for at in range(0, len(data), 4)]


@contextmanager
def new_record() -> Iterator[Callable[[], UsedTickets]]:
    """Begin a record; what is given makes another process's view of it."""
    records = SharedRecords.create(max_tickets=1 << 14)
    place = records.begin(KEY)
    yield lambda: records.of(KEY, place)
    records.close()


def take(record: UsedTickets) -> int:
    """Take a number."""
    if not record.has_room():
        sys.exit("there is no room")
    return record.next_number()


def race() -> dict[str, object]:
    """All at once spend the same tickets in the same order, and take numbers beside."""
    with new_record() as view:
        record = view()
        tickets = [take(record) for _ in range(TICKETS)]
        waiting, gate = os.pipe()

        def run(tell: Callable[[int], None]) -> None:
            os.close(gate)
            os.read(waiting, 1)
            mine = view()
            for ticket in tickets:
                if mine.spend(ticket):
                    tell(ticket)
                tell(take(mine) + (1 << 16))

        children = [child(run) for _ in range(PROCESSES)]
        os.close(gate)
        os.close(waiting)
        heard = [number for _, reading in children for number in told(reading)]
        for process, _ in children:
            os.waitpid(process, 0)
        return {
            "tickets": tickets,
            "accepted": [number for number in heard if number < 1 << 16],
            "taken": [number - (1 << 16) for number in heard if number >= 1 << 16],
            "sealed": record.sealed,
            "spent": record.spent,
        }


def interrupt(at: int, number: int) -> None:
    """Send this process a signal before its call of the system number `at`."""
    calls = 0

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls > at:
                os.kill(os.getpid(), number)
            return function(*args)

        return call

    os.pread, os.pwrite, fcntl.lockf = map(counted, (os.pread, os.pwrite, fcntl.lockf))  # type: ignore[assignment]


def killed() -> list[dict[str, object]]:
    """Each step in turn is a process's last; then others spend the same ticket, twice, and take numbers."""
    return [_killed(step) for step in range(STEPS)]


def _killed(step: int) -> dict[str, object]:
    with new_record() as view:
        record = view()
        ticket, neighbour = take(record), take(record)

        def run(tell: Callable[[int], None]) -> None:
            mine = view()
            interrupt(step, signal.SIGKILL)
            if mine.spend(ticket):
                tell(ticket)
            for _ in range(3):
                tell(take(mine))

        process, reading = child(run)
        heard = told(reading)
        os.waitpid(process, 0)
        was_marked = record.spent == 1
        return {
            "accepted": ticket in heard,
            "was_marked": was_marked,
            "again": [record.spend(ticket), record.spend(ticket)],
            "neighbour": record.spend(neighbour),
            "taken": [*heard[1:], ticket, neighbour, *(take(view()) for _ in range(3)), take(record)],
        }


def stopped() -> list[dict[str, object]]:
    """Each step in turn is where a process stands still; others do not wait for it, then it goes on."""
    return [_stopped(step) for step in range(1, 8)]


def _stopped(step: int) -> dict[str, object]:
    with new_record() as view:
        record = view()
        ticket, neighbour = take(record), take(record)

        def run(tell: Callable[[int], None]) -> None:
            mine = view()
            interrupt(step, signal.SIGSTOP)
            if mine.spend(ticket):
                tell(ticket)

        process, reading = child(run)
        _, status = os.waitpid(process, os.WUNTRACED)
        while_it_stood = record.spend(ticket), record.spend(neighbour), take(record)
        while not os.WIFEXITED(status):
            os.kill(process, signal.SIGCONT)
            _, status = os.waitpid(process, os.WUNTRACED)
        return {
            "here": while_it_stood[0],
            "there": ticket in told(reading),
            "neighbour": while_it_stood[1],
            "later": record.spend(ticket),
        }


def erased() -> list[dict[str, object]]:
    """Each step in turn is the last of whoever erases a record; then a worker goes on that has not heard of it."""
    return [_erased(step) for step in range(8)]


def _erased(step: int) -> dict[str, object]:
    records = SharedRecords.create(max_tickets=1 << 14)
    record = records.of(KEY, records.begin(KEY))
    used = [take(record) for _ in range(BLOCK)]
    was_first = [record.spend(number) for number in used]

    def run(_: Callable[[int], None]) -> None:
        interrupt(step, signal.SIGKILL)
        records.erase(0)

    process, reading = child(run)
    told(reading)
    os.waitpid(process, 0)
    deaf = records.of(KEY, 0)
    taken = [take(deaf) for _ in range(2 * BLOCK)] if deaf.has_room() else []
    again = [deaf.spend(number) for number in used]
    records.close()
    return {"first": was_first, "again": again, "goes_on": bool(taken)}


if __name__ == "__main__":
    json.dump({"race": race(), "killed": killed(), "stopped": stopped(), "erased": erased()}, sys.stdout)
