"""What keeps a run from being made, in one line for people."""

from sottovoce.primitives import SottovoceError


class PlanRefused(SottovoceError):
    """What is wanted makes no sense, or something that it needs is missing; the text says what to do."""
