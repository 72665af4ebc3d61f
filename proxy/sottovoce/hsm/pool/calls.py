"""A call on its way through the pool, and each of its sendings."""

from collections.abc import Callable

import msgspec
import trio

from sottovoce.primitives import wipe_bytes


class Call:
    """What one caller waits for: it waits for its turn, is out at one node or two, or is over."""

    def __init__(
        self,
        name: str,
        question_for: Callable[[str], msgspec.Raw | None],
        *,
        is_idempotent: bool,
        answer_seconds: float,
        is_long: bool = False,
    ) -> None:
        """Take what gives the question for a node, None where it cannot answer, and how long an answer may take.

        What `is_long` has a session of its own, so that nothing waits behind it.
        """
        self.name = name
        self.question_for = question_for
        self.is_idempotent = is_idempotent
        self.answer_seconds = answer_seconds
        self.is_long = is_long
        self.asked_at = trio.current_time()
        self.done = trio.Event()
        self.outcome: msgspec.Raw | Exception | None = None
        self.node = ""
        """Who answered."""
        self.attempts = 0
        self.out: dict[str, Attempt] = {}
        """Sendings without an answer yet, by the node."""
        self.unable: set[str] = set()
        """Nodes that cannot answer this, or have said so."""
        self.is_hedged = False
        """Whether it was sent a second time though the first was not late."""
        self.is_left = False
        """Whether the caller waits no more."""
        self._frame = b""

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self.is_left or self.outcome is not None

    def finish(self, outcome: msgspec.Raw | Exception, node: str = "", frame: bytes = b"") -> None:
        """Wake the caller; `frame` is what the outcome lies in, overwritten when the caller leaves."""
        self.outcome = outcome
        self.node = node
        self._frame = frame
        self.done.set()

    def leave(self) -> None:
        """The caller is gone, with its answer or without."""
        self.is_left = True
        wipe_bytes(self._frame)
        self._frame = b""


class Attempt:
    """One sending of a call to a node."""

    __slots__ = ("call", "is_hedge", "is_late", "is_slow", "is_urgent", "late_at", "node", "sent_at", "slow_at")

    def __init__(  # noqa: PLR0913  what is known of it
        self, call: Call, node: str, *, sent_at: float, slow_at: float, late_at: float, is_hedge: bool
    ) -> None:
        """Take the instants from which on it counts as slow, and as late."""
        self.call = call
        self.node = node
        self.sent_at = sent_at
        self.slow_at = slow_at
        self.late_at = late_at
        self.is_hedge = is_hedge
        """Whether the call was out already, at another node that was not late."""
        self.is_slow = False
        self.is_urgent = False
        self.is_late = False

    @property
    def urgent_at(self) -> float:
        """From when on it is out for twice as long as most are, and seldom is answered just then."""
        return 2 * self.slow_at - self.sent_at
