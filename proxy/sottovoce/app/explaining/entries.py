"""The shape of an explanation."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """Where somebody meets a word or a number; the order is that of the document."""

    END = "end of a call"
    BACKEND = "backend fault"
    HTTP = "HTTP status"
    ALERT = "TLS alert"
    TLS = "TLS fault"
    CERTIFICATE = "certificate check"
    REFUSAL = "refused connection"
    READY = "reason of /readyz"
    EXIT = "exit code"
    EVENT = "log event"


class Entry(msgspec.Struct, frozen=True):
    """One row of the table."""

    kind: Kind
    name: str
    number: int | None
    meaning: str
    causes: tuple[str, ...]
    remedies: tuple[str, ...]

    @property
    def title(self) -> str:
        """Number and name, as far as there are both."""
        return self.name if self.number is None else f"{self.number} {self.name}"
