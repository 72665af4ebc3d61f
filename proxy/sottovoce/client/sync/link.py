"""A blocking call's connection, as its users' threads see it: they ask its thread (`carrier`) by wishes, and wait."""

from collections import deque
from collections.abc import Callable

from sottovoce.client.items import Item
from sottovoce.client.sync.carrier import Carrier
from sottovoce.client.sync.wish import Wish
from sottovoce.primitives import ApiMisuse


class Link(Carrier):
    """One call's connection.  After Ctrl-C it can be used on."""

    _returned: deque[Item]

    def start(self) -> None:
        """Begin, and wait until it is known whether the call comes about."""
        self._returned = deque()
        try:
            self._thread.start()
        except BaseException:
            if not self._thread.is_alive():
                self._abandon()
            raise
        self._ask(self._orders, lambda _: self.has_settled)

    def next_item(self, seconds: float | None = None) -> Item | None:
        """Wait for the next item; None behind the last one.  Raises the call's failure, and TimeoutError."""
        taken: list[Item] = []

        def attempt(_: float) -> bool:
            item = self._returned.popleft() if self._returned else self.take()
            if item is not None:
                taken.append(item)
            return item is not None or self.has_told

        try:
            self._ask(self._takings, attempt, seconds)
        except BaseException:
            self._returned.extendleft(taken)  # broken off when it was there already
            raise
        return self.told(taken[0] if taken else None)

    def say(self, seal: Callable[[float], bool]) -> None:
        """Have something sealed, as soon as it may be, and written.  Raises CallError if the call is over."""

        def attempt(now: float) -> bool:
            if not self.has_ended:
                return seal(now)
            raise self.why_not()

        self._ask(self._sayings, attempt)

    def close(self, code: int) -> None:
        """End the call and wait until the connection is closed, and the thread gone.  Broken off, a second at most."""

        def end(now: float) -> bool:
            self.machine.close(now, code)
            return True

        def drop(now: float) -> bool:
            self.machine.drop(now)
            return True

        try:
            self._ask(self._orders, end)
            self._ask(self._orders, lambda _: self._is_closed)
        except ApiMisuse:
            raise
        except BaseException:
            self._ask(self._orders, drop)
            self._ask(self._orders, lambda _: self._is_closed)
            raise
        finally:
            if self._is_closed and self._thread.is_alive():
                self._thread.join()

    def _ask(self, wishes: deque[Wish], attempt: Callable[[float], bool], seconds: float | None = None) -> None:
        wish = Wish(attempt)
        try:
            wishes.append(wish)
            self._ring()
            wish.wait(seconds)
        except BaseException:
            wish.withdraw()
            raise
