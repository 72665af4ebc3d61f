"""From what msgspec says of a value to what a person can do about it.  Pure."""

import difflib
import re
from typing import get_type_hints

import msgspec

from sottovoce.settings.errors import Problem

_AT = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<place>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_EXPECTED = re.compile(r"Expected `(?P<kind>[^`]*)`(?P<bound>[^,]*)(?:, got `(?P<got>[^`]*)`)?")
_ENUM = re.compile(r"Invalid enum value (?P<value>.*)")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": 'text in "quotes"',
    "bool": "true or false",
    "object": "a [section] of its own",
    "array": 'a list, as in ["a", "b"]',
}


def explain(error: msgspec.ValidationError, path: str, kind: type) -> Problem:
    """Name place, reason and remedy.  `path` is where the checked value stands, `kind` what it should have been."""
    match = _AT.match(str(error))
    text, place = (match["reason"], match["place"] or "") if match else (str(error), "")
    where = ".".join(part for part in (path, _dotted(place)) if part)
    if unknown := _UNKNOWN.fullmatch(text):
        return _unknown(where, unknown["name"], kind)
    if missing := _MISSING.fullmatch(text):
        return Problem(_join(where, missing["name"]), "is missing", f"add a line {missing['name']} = …")
    if expected := _EXPECTED.fullmatch(text):
        return _expected(where, expected["kind"], expected["bound"], expected["got"])
    if enum := _ENUM.fullmatch(text):
        return Problem(where, f"there is no {enum['value']}", f"write one of {_choices(kind, place)}")
    return _own_words(where, text)


def _own_words(where: str, text: str) -> Problem:
    """Take one of our own messages apart: `key: reason; remedy`."""
    key, colon, rest = text.partition(": ")
    if not colon or " " in key:
        key, rest = "", text
    reason, _, remedy = rest.partition("; ")
    return Problem(_join(where, key), reason, remedy or "see config/reference.toml")


def _unknown(where: str, name: str, kind: type) -> Problem:
    known = [each.name for each in msgspec.structs.fields(kind)] if issubclass(kind, msgspec.Struct) else []
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return Problem(_join(where, name), "there is no such key", remedy)


def _expected(where: str, kind: str, bound: str, got: str | None) -> Problem:
    words = " or ".join(_KINDS.get(each.strip(), each.strip()) for each in kind.split("|"))
    limit = bound.strip().replace("of length", "with a length")
    remedy = f"write {words} {limit}".rstrip()
    reason = f"is {_KINDS.get(got, got)}" if got else "is out of range"
    return Problem(where, reason, remedy)


def _choices(kind: type, place: str) -> str:
    """List what a field's enumeration or literal allows."""
    name = place.removeprefix("$").removeprefix(".").partition("[")[0]
    if not issubclass(kind, msgspec.Struct) or name not in get_type_hints(kind):
        return "those in config/reference.toml"
    return ", ".join(_literals(msgspec.inspect.type_info(get_type_hints(kind)[name])))


def _literals(info: msgspec.inspect.Type) -> list[str]:
    match info:
        case msgspec.inspect.LiteralType(values=values):
            return [str(value) for value in values]
        case msgspec.inspect.EnumType(cls=cls):
            return [str(member.value) for member in cls]
        case msgspec.inspect.VarTupleType(item_type=item):
            return _literals(item)
        case _:
            return ["those in config/reference.toml"]


def _dotted(place: str) -> str:
    return place.removeprefix("$").removeprefix(".")


def _join(where: str, name: str) -> str:
    return ".".join(part for part in (where, name) if part)
