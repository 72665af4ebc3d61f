"""What a crowd did and met."""

from collections import Counter

MAX_FAULTS = 50


class Tally:
    """Counts; `faults` has what must not be, in words."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        """By kind of visit and how it ended."""
        self.calls = 0
        self.sent = 0
        """Frames of healthy calls."""
        self.returned = 0
        """Of them, those that came back, each in its place."""
        self.others_returned = 0
        self.resumed = 0
        self.epochs = 0
        self.reauthentications = 0
        self.half_open = 0
        self.reloads = 0
        self.restarts = 0
        self.faults: list[str] = []

    @property
    def lost(self) -> int:
        return self.sent - self.returned

    def fault(self, what: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(what)

    def __str__(self) -> str:
        visits = ", ".join(f"{count} {kind}" for kind, count in sorted(self.visits.items()))
        return (
            f"{self.calls} calls ({visits}; {self.half_open} connections left half open), {self.resumed} resumed,"
            f" {self.epochs} epochs, {self.reauthentications} re-authentications; {self.sent} frames of healthy calls,"
            f" {self.lost} lost; {self.reloads} reloads, {self.restarts} backend restarts"
        )
