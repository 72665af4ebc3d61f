"""When a worker that ended is started again: at once, and later each time that it ends soon.  Pure."""

FIRST_SECONDS = 0.1
MAX_SECONDS = 30.0
WELL_SECONDS = 60.0
"""After so long the next end counts as the first."""


class Backoff:
    """Of one worker's place."""

    def __init__(self) -> None:
        """Begin well."""
        self._seconds = FIRST_SECONDS

    def ended(self, lived_seconds: float) -> float:
        """Take that it ended after so long; gives the seconds until it is to be started again."""
        if lived_seconds >= WELL_SECONDS:
            self._seconds = FIRST_SECONDS
        seconds, self._seconds = self._seconds, min(MAX_SECONDS, self._seconds * 2)
        return seconds
