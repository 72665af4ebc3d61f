"""Which leaves are signed together, and when (protocol §6).  Pure.

A batch holds leaves of one kind that may be signed under one anchor, at most 256, at most 8 from one source address;
what is over waits for the next.  It is due 10 ms after its first leaf came, at once when it is full.  A batch that is
due but has to wait for the HSM goes on gathering.  So one address that floods us cannot fill a batch, and no rate of
calls asks more of the HSM than a hundred signatures a second of each kind and anchor, unless batches are full.
"""

from collections import Counter
from typing import Generic, Protocol, TypeVar

from sottovoce.session import LeafKind

COLLECT_SECONDS = 0.010
MAX_LEAVES = 256
MAX_LEAVES_PER_SOURCE = 8


Group = tuple[LeafKind, bytes | None]
"""Whose leaves go together: their kind, and the id of the anchor under whose certificates they are signed (None: any).
"""


class Waiter(Protocol):
    """A leaf that waits: whose it is, and until when."""

    @property
    def source(self) -> str:
        """The client's IP address."""
        ...

    @property
    def deadline(self) -> float:
        """When its owner will have gone."""
        ...


AnyWaiter = TypeVar("AnyWaiter", bound=Waiter)


class Gathering(Generic[AnyWaiter]):
    """The leaves of all groups that wait to be signed."""

    def __init__(self) -> None:
        """Begin with none."""
        self._queues: dict[Group, _Queue[AnyWaiter]] = {}
        """Of those groups that have a leaf."""

    def __len__(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues.values())

    def add(self, group: Group, waiter: AnyWaiter, now: float) -> None:
        """Let a leaf wait."""
        self._queues.setdefault(group, _Queue()).add(waiter, now)

    def remove(self, group: Group, waiter: AnyWaiter) -> None:
        """Forget a leaf whose owner has gone; harmless when it does not wait."""
        if group in self._queues:
            self._queues[group].remove(waiter)
            self._forget_empty(group)

    def take_all(self) -> list[AnyWaiter]:
        """Take every leaf that waits, because nothing will be signed any more."""
        taken = [waiter for queue in self._queues.values() for waiter in queue.waiting]
        self._queues.clear()
        return taken

    def next_due(self) -> float | None:
        """When the next batch is due, None while nothing waits."""
        return min((queue.due_at for queue in self._queues.values()), default=None)

    def cut(self, now: float) -> tuple[Group, list[AnyWaiter]] | None:
        """Take the batch that has been due for longest; None if none is.  It is empty when all its owners have gone."""
        due = [group for group, queue in self._queues.items() if queue.due_at <= now]
        if not due:
            return None
        group = min(due, key=lambda each: self._queues[each].due_at)
        batch = self._queues[group].cut(now)
        self._forget_empty(group)
        return group, batch

    def _forget_empty(self, group: Group) -> None:
        if not self._queues[group].waiting:
            del self._queues[group]


class _Queue(Generic[AnyWaiter]):
    """The leaves of one group, in the order they came."""

    def __init__(self) -> None:
        self.waiting: dict[AnyWaiter, None] = {}
        """A dictionary for its order and for leaving it in one step; its values mean nothing."""
        self.due_at = 0.0
        self._of_source: Counter[str] = Counter()
        self._fit = 0
        """How many could be in one batch, were there no limit to its size."""

    def add(self, waiter: AnyWaiter, now: float) -> None:
        if not self.waiting:
            self.due_at = now + COLLECT_SECONDS
        self.waiting[waiter] = None
        self._of_source[waiter.source] += 1
        if self._of_source[waiter.source] <= MAX_LEAVES_PER_SOURCE:
            self._fit += 1
        if self._fit == MAX_LEAVES:
            self.due_at = min(self.due_at, now)

    def remove(self, waiter: AnyWaiter) -> None:
        if waiter not in self.waiting:
            return
        del self.waiting[waiter]
        self._of_source[waiter.source] -= 1
        if self._of_source[waiter.source] < MAX_LEAVES_PER_SOURCE:
            self._fit -= 1
        if not self._of_source[waiter.source]:
            del self._of_source[waiter.source]

    def cut(self, now: float) -> list[AnyWaiter]:
        """Take the first leaves whose owners are there, as many as one batch may hold."""
        batch: list[AnyWaiter] = []
        of_source: Counter[str] = Counter()
        gone: list[AnyWaiter] = []
        for waiter in self.waiting:
            if waiter.deadline <= now:
                gone.append(waiter)
            elif of_source[waiter.source] < MAX_LEAVES_PER_SOURCE:
                of_source[waiter.source] += 1
                batch.append(waiter)
                if len(batch) == MAX_LEAVES:
                    break
        for waiter in (*gone, *batch):
            self.remove(waiter)
        self.due_at = now if self._fit >= MAX_LEAVES else now + COLLECT_SECONDS
        return batch
