"""Turns the values of a log event into plain ones that are safe to print.  Pure.

It lets through what it knows and names the rest by its type, so that nobody's `repr` can put a key into a log:
- bytes are never shown, only counted: an AES-128 key is no longer than an identifier, and nothing tells them apart.
  Whoever wants an identifier in the log writes `identifier.hex()`;
- a `Secret` shows its name and length;
- an exception shows its type and the places it came through, never local variables, and its text only where the text is
  known to be fit: our own errors and the operating system's;
- strings are cut at a length, collections at a size and a depth.
"""

import enum
import traceback
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import PurePath
from typing import TypeAlias, cast

from sottovoce.primitives import Secret, SottovoceError

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"

MAX_TEXT = 1_000
MAX_ITEMS = 50
MAX_DEPTH = 4
MAX_FRAMES = 30
MAX_EXCEPTIONS = 10


def plain_fields(fields: Mapping[str, object]) -> dict[str, Plain]:
    """Make each field plain.  Never raises, whatever the values are."""
    return {name: plain_value(value) for name, value in fields.items()}


def plain_value(value: object, depth: int = 0) -> Plain:
    """Make one value plain: a string, a number, a claim, nothing, or a list or mapping of these."""
    match value:
        case None | bool():
            return value
        case enum.Enum():
            return value.name.lower()
        case int():
            return int(value)
        case float():
            return float(value)
        case str() | PurePath():
            return _cut(str(value))
        case bytes() | bytearray():
            return f"<{len(value)} bytes>"
        case Secret():
            return repr(value)
        case BaseException():
            return error_text(value)
        case _:
            return _plain_collection(value, depth)


def _plain_collection(value: object, depth: int) -> Plain:
    if depth < MAX_DEPTH:
        if isinstance(value, dict):
            items = islice(cast("dict[object, object]", value).items(), MAX_ITEMS)
            return {str(plain_value(key)): plain_value(item, depth + 1) for key, item in items}
        if isinstance(value, list | tuple | set | frozenset):
            return [plain_value(item, depth + 1) for item in islice(cast("Iterable[object]", value), MAX_ITEMS)]
    return f"<{type(value).__qualname__}>"


def error_text(error: BaseException) -> str:
    """Name an exception in one line; with its text only where that is known to hold no secret."""
    name = type(error).__qualname__
    if isinstance(error, SottovoceError):
        return _cut(f"{name}: {error}" if str(error) else name)
    if isinstance(error, OSError) and error.strerror:
        return _cut(f"{name}: {error.strerror}" + (f": {error.filename}" if isinstance(error.filename, str) else ""))
    return name


def error_trail(error: BaseException) -> list[Plain]:
    """Describe an exception, those it came from, and the members of a group, each with the places it came through."""
    return [{"error": error_text(each), "at": _places(each)} for each in islice(_related(error), MAX_EXCEPTIONS)]


def _related(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("tuple[BaseException, ...]", each.exceptions)
        before = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        if before is not None:
            waiting.append(before)


def _places(error: BaseException) -> list[Plain]:
    """Give `module:line function` of each frame, the innermost last."""
    places = [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return [*places[-MAX_FRAMES:]]


def printable(text: str) -> str:
    """Escape what would steer a terminal, a peer's text must not."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"
