"""What can be wrong with a configuration: each problem with its place, its reason and its remedy."""

from collections.abc import Sequence

import msgspec

from sottovoce.primitives import SottovoceError

_MAX_REASON_CHARACTERS = 1_000


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    path: str
    """The key, as in `voice.epoch_seconds`; or the file."""
    reason: str
    remedy: str

    def __str__(self) -> str:
        """Give one line; a reason may repeat what somebody wrote, and is cut."""
        reason = self.reason
        if len(reason) > _MAX_REASON_CHARACTERS:
            reason = f"{reason[:_MAX_REASON_CHARACTERS]} ..."
        return f"{self.path}: {reason}; {self.remedy}"


class ConfigurationInvalid(SottovoceError):
    """The configuration cannot be used.  Its text is one line a problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems for whoever shows them."""
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
