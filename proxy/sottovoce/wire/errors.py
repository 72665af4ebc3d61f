"""What a decoder raises for a peer's bytes: one error, with the protocol's code and a reason for the audit log."""

from sottovoce.primitives import SottovoceError
from sottovoce.wire.codes import Code


class WireError(SottovoceError):
    """A peer's bytes break the protocol.  `code` is all that the peer is told; `reason` is for our log."""

    def __init__(self, code: Code, reason: str) -> None:
        """Keep both apart; `reason` names a rule, never a value."""
        super().__init__(f"{code.label}: {reason}")
        self.code = code
        self.reason = reason


def bad_record(reason: str) -> WireError:
    """The most common one: syntax, order, unknown critical things."""
    return WireError(Code.BAD_RECORD, reason)


def too_large(reason: str) -> WireError:
    """A size limit of protocol §2."""
    return WireError(Code.TOO_LARGE, reason)
