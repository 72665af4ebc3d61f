"""What can be wrong with the audit log."""

from sottovoce.primitives import SottovoceError


class AuditError(SottovoceError):
    """Root of the errors about the audit log."""


class AuditFailed(AuditError):
    """The log cannot be opened or written.  What it should have held did not happen, or must be undone."""


class AuditBroken(AuditError):
    """A line is not what was once written there."""

    def __init__(self, path: str, line: int, reason: str) -> None:
        """Name the file, the line counted from 1, and what is wrong with it."""
        super().__init__(
            f"audit log {path}, line {line}: {reason}; the lines before it are intact. "
            "Keep the file as evidence and move it away: the next start begins a new log"
        )
        self.path = path
        self.line = line
        self.reason = reason


class RecordInvalid(AuditError):
    """A line does not continue the chain.  Its text says why."""
