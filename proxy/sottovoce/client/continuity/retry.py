"""After which end another call is worth while, and when to make it.

Worth while is what can be over by itself: the server drains, the connection broke, nobody answers now.  Whatever is
said about *us* (credential, policy, suites, what we sent) would be said again, and what looks like interference should
be seen by a person; so these are not tried again, and nothing is ever tried with less than was offered first.
"""

from sottovoce.client.errors import CallError, CallTruncated, ConnectFailed, Draining, RateLimited, SessionExpired
from sottovoce.primitives import Entropy

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 15.0
STABLE_SECONDS = 15.0
"""A call that was open for so long was no mishap: what comes after it begins with short delays again."""


def may_pass(error: CallError) -> bool:
    """Tell whether a call with the same settings may go well after this."""
    match error:
        case Draining() | CallTruncated():
            return True
        case ConnectFailed():
            return error.may_pass
        case RateLimited():
            return not error.local and not error.is_proven  # refused at the door; in a call it is about what we did
        case SessionExpired():
            # A network or a handshake that was too slow.  In a call that stood, a server may mean the credential.
            return error.local or not error.is_proven
        case _:
            return False


class Backoff:
    """The delays before attempts that follow each other: doubling, each with a part left to chance.

    So many clients that lost one server at once do not come to the next one at once.
    """

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._limit = FIRST_SECONDS

    def after(self, error: CallError, open_seconds: float) -> float:
        """Give the seconds to wait, when a call ended so that was open for `open_seconds`, 0 if it never was."""
        if open_seconds >= STABLE_SECONDS:
            self._limit = FIRST_SECONDS
        limit, self._limit = self._limit, min(2 * self._limit, LONGEST_SECONDS)
        chance = int.from_bytes(self._entropy.random(2)) / 0xFFFF
        if isinstance(error, Draining) and error.is_proven and limit == FIRST_SECONDS:
            return limit * chance  # the server spreads these words over time, and another one is waiting
        return limit * (1 + chance) / 2
