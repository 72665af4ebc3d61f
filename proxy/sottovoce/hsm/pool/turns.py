"""Who gets the next turn: a bounded queue, shared fairly by tenants.  Pure.

Tenants that wait take turns in a round, each as many in a row as its weight says.  Whoever comes anew joins at the end
of the round, so that many calls of one tenant delay another's by one turn each and no more; a tenant that waits for
nothing is not remembered.  What is given back, since the node that had it failed, goes before all others.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class _Line(Generic[Item]):
    """What one tenant waits for, in order, and how many more turns it has in this round."""

    __slots__ = ("items", "turns")

    def __init__(self, turns: int) -> None:
        self.items: OrderedDict[Item, None] = OrderedDict()
        self.turns = turns


class Turns(Generic[Item]):
    """Items that wait, at most `limit`; each is told apart by its identity or equality, and waits once."""

    def __init__(self, limit: int, weights: Mapping[str, int] | None = None) -> None:
        """Begin empty; a tenant that `weights` does not name has one turn in a round."""
        self._limit = limit
        self._weights = dict(weights or {})
        self._given_back: OrderedDict[Item, None] = OrderedDict()
        self._lines: OrderedDict[str, _Line[Item]] = OrderedDict()
        self._tenants: dict[Item, str] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._given_back) + len(self._tenants)

    def __contains__(self, item: Item) -> bool:
        """Whether this one waits."""
        return item in self._tenants or item in self._given_back

    def add(self, item: Item, tenant: str) -> bool:
        """Have an item wait for its tenant's turn; false, and nothing done, where too many wait."""
        if len(self) >= self._limit:
            return False
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = _Line(self._turns_of(tenant))
        line.items[item] = None
        self._tenants[item] = tenant
        return True

    def give_back(self, item: Item) -> None:
        """Put what had its turn in front of all others; never refused, since it was let in before."""
        self._given_back[item] = None
        self._given_back.move_to_end(item, last=False)

    def remove(self, item: Item) -> None:
        """Forget an item, if it waits."""
        self._given_back.pop(item, None)
        tenant = self._tenants.pop(item, None)
        if tenant is not None:
            self._drop(item, tenant)

    def take(self, may: Callable[[Item], bool]) -> Item | None:
        """Give the next item that `may` go, which then waits no more; None where none may.

        Those that may not keep their places.
        """
        for item in self._given_back:
            if may(item):
                del self._given_back[item]
                return item
        for tenant, line in self._lines.items():
            for item in line.items:
                if may(item):
                    del self._tenants[item]
                    self._use_turn(tenant, line)
                    self._drop(item, tenant)
                    return item
        return None

    def clear(self) -> list[Item]:
        """Give all that wait, who then wait no more."""
        items = [*self._given_back, *self._tenants]
        self._given_back.clear()
        self._lines.clear()
        self._tenants.clear()
        return items

    def _use_turn(self, tenant: str, line: _Line[Item]) -> None:
        line.turns -= 1
        if line.turns == 0:
            line.turns = self._turns_of(tenant)
            self._lines.move_to_end(tenant)

    def _drop(self, item: Item, tenant: str) -> None:
        line = self._lines[tenant]
        del line.items[item]
        if not line.items:
            del self._lines[tenant]

    def _turns_of(self, tenant: str) -> int:
        return self._weights.get(tenant, 1)
