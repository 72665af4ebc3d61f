"""What a person is told of an error that ended a command: one line for each, and never a traceback.

Our own errors carry their line.  Of any other, which is a bug, the type and the place are shown; its text and local
variables are not, since they may hold anything.  SOTTOVOCE_DEBUG=1 adds the way that it came, again only types and
places.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from typing import cast

import click

from sottovoce.primitives.errors import SottovoceError

_DEBUG = "SOTTOVOCE_DEBUG"
_OURS = "sottovoce."
_REPORT = "please report it, with what SOTTOVOCE_DEBUG=1 adds"
_MAX_ERRORS = 10


def is_interruption(error: BaseException) -> bool:
    """Tell whether somebody pressed Ctrl-C; inside Trio that may come in a group."""
    return any(isinstance(each, KeyboardInterrupt) for each in leaves(error))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Give the errors that a group was made of, however deep; an error that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for each in cast("tuple[BaseException, ...]", error.exceptions):
            yield from leaves(each)
    else:
        yield error


def lines_of(error: BaseException) -> list[str]:
    """Give what is to be said: a line for each error of ours and each bug, none twice, all printable."""
    lines = [line for each in leaves(error) for line in _lines_of_one(each)]
    return [_printable(line) for line in dict.fromkeys(lines)]


def say_what_failed(error: BaseException) -> None:
    """Write it to standard error."""
    start = "\r\x1b[K" if sys.stderr.isatty() else ""  # over what is left of a progress line
    for line in lines_of(error):
        click.echo(f"{start}sottovoce: {line}", err=True)
    if os.environ.get(_DEBUG) == "1":
        for line in trail_of(error):
            click.echo(f"    {_printable(line)}", err=True)


def trail_of(error: BaseException) -> Iterator[str]:
    """Give the errors that led to this one, each with the places it came through, the innermost last."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MAX_ERRORS:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield type(each).__qualname__
        yield from (f"  at {place}" for place in _places(each))
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("tuple[BaseException, ...]", each.exceptions)
        waiting += [before for before in (each.__cause__, each.__context__) if before is not None]


def _lines_of_one(error: BaseException) -> list[str]:
    match error:
        case SottovoceError():
            return str(error).splitlines() or [type(error).__qualname__]
        case ModuleNotFoundError() if error.name and not error.name.startswith(_OURS):
            return [f"the package {error.name} is missing: pip install 'sottovoce[server]'"]
        case OSError() if error.strerror:
            what = f"{error.filename}: " if isinstance(error.filename, str) else ""
            return [f"{what}{error.strerror}; the system refused this, mend it and run the command again"]
        case _:
            return [f"internal error: {type(error).__qualname__} at {_innermost(error)}; {_REPORT}"]


def _innermost(error: BaseException) -> str:
    """Give the innermost place that is ours, as `module:line`; of a stranger's if none is."""
    places = [place.partition(" ")[0] for place in _places(error)]
    ours = [place for place in places if place.startswith(_OURS)]
    return (ours or places or ["an unknown place"])[-1]


def _places(error: BaseException) -> list[str]:
    return [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
