"""Lines of the log about connections that were closed unread: so many, for a flood must not fill the disk as well."""

from sottovoce.edge.journal import Journal
from sottovoce.session import TokenBucket

LINES_PER_SECOND, LINES_BURST = 5.0, 10.0
"""Each line tells how many others had none."""


class Refusals:
    """The lines of one listener."""

    def __init__(self, now: float) -> None:
        """Begin with all lines free."""
        self._lines = TokenBucket(LINES_PER_SECOND, LINES_BURST, now)
        self._untold = 0

    def tell(self, journal: Journal, client: str, reason: str, now: float) -> None:
        """Have a refusal logged, or counted."""
        if self._lines.take(now):
            journal.connection_refused(client, reason, self._untold)
            self._untold = 0
        else:
            self._untold += 1
