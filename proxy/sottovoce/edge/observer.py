"""Who hears of calls while they run, beside the logs: what an operator asks a running proxy about."""

from typing import Protocol


class CallObserver(Protocol):
    """Is told of calls and of their backends, by route.  Every method is synchronous, quick, and never raises."""

    def call_started(self, route: str, tls_group: str) -> None:
        """A voice session began on a connection of that TLS group."""
        ...

    def call_ended(self, route: str) -> None:
        """One that had begun is over."""
        ...

    def backend_answered(self, route: str) -> None:
        """A call's backend has said its first thing."""
        ...

    def backend_silent(self, route: str, seconds: float) -> None:
        """A call's backend is connected and has said nothing for so long."""
        ...

    def backend_lost(self, route: str, reason: str) -> None:
        """A call's backend could not be reached, or went away."""
        ...


class Unobserved:
    """Nobody asks."""

    def call_started(self, route: str, tls_group: str) -> None:
        """Nobody hears it."""

    def call_ended(self, route: str) -> None:
        """Nobody hears it."""

    def backend_answered(self, route: str) -> None:
        """Nobody hears it."""

    def backend_silent(self, route: str, seconds: float) -> None:
        """Nobody hears it."""

    def backend_lost(self, route: str, reason: str) -> None:
        """Nobody hears it."""
