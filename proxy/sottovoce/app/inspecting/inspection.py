"""What came of a look at something."""

import datetime as dt

import msgspec

from sottovoce.primitives import SottovoceError, one_line

_MAX_CHARACTERS = 600


class NotRecognised(SottovoceError):
    """It cannot be read, or is nothing that is known here; the text names what was looked for."""


class Fact(msgspec.Struct, frozen=True):
    """One thing to know; a name may come several times."""

    name: str
    value: str


class Inspection(msgspec.Struct, frozen=True):
    """What something is."""

    kind: str
    what: str
    """One line."""
    facts: tuple[Fact, ...] = ()
    faults: tuple[str, ...] = ()
    """What is wrong with it, each with its remedy; it is what it is all the same."""


def fact(name: str, value: object) -> Fact:
    """Make a fact of somebody else's words."""
    return Fact(name, one_line(str(value), max_characters=_MAX_CHARACTERS))


def fault(text: str) -> str:
    """Make a fault of somebody else's words."""
    return one_line(text, max_characters=_MAX_CHARACTERS)


def moment(seconds: float) -> str:
    """Give a date for people."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a day that no calendar has"
