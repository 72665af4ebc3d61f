"""What is wrong with a configuration, in words that a person can act on.  Pure.

A value is compared with the type that it should have, as `msgspec.inspect` describes it, and every fault is named, not
only the first.  The texts are made here, and not of msgspec's, which speak of Python's types.  Rules between fields are
those of the structs' `__post_init__`; their texts have the form `key: reason; remedy`.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import cast

import msgspec
from msgspec import inspect

from sottovoce.settings.errors import Problem
from sottovoce.settings.ranges import Number, example_of, expected, is_in_range

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_SHOWN = 60
_ANYTHING_ELSE = "a value of another kind"
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number with a point"),
    (str, "text"),
    (dict, "a section"),
    (list, "a list"),
    ((dt.datetime, dt.date, dt.time), "a date or a time"),
)
"""What a TOML value is called; `bool` before `int`, of which it is one."""
_NAME_RULES = {
    r"^[a-z][a-z0-9-]{0,31}$(?!\n)": (
        "its name stands in file names and metrics",
        "use a small letter, then up to 31 small letters, digits and - only",
    ),
    "": ("its name stands in URLs and logs", "use 1 to 64 letters, digits and . _ ~ - only"),
}
"""What is wrong with the name of a section, and what is right, by the pattern that it should have; "": any other."""


def problems_of(table: object, kind: type[msgspec.Struct]) -> list[Problem]:
    """Give everything that is wrong with a parsed file; an empty list means that msgspec will convert it."""
    return list(_Explaining(kind).problems(table, inspect.type_info(kind), ""))


def join(path: str, key: str) -> str:
    """Give the path of a key inside a section, as TOML spells it."""
    spelled = key if _BARE_KEY.fullmatch(key) else _show(key)
    return f"{path}.{spelled}" if path else spelled


class _Explaining:
    def __init__(self, root: type[msgspec.Struct]) -> None:
        self._root = root

    def problems(self, value: object, kind: inspect.Type, path: str) -> Iterable[Problem]:
        match kind:
            case inspect.StructType():
                return self._table(value, kind, path)
            case inspect.DictType():
                return self._named_tables(value, kind, path)
            case inspect.VarTupleType():
                return self._list(value, kind, path)
            case inspect.UnionType(types=types):  # of a type and None, which TOML cannot say
                return self.problems(value, next(t for t in types if not isinstance(t, inspect.NoneType)), path)
            case inspect.Metadata(type=inner):
                return self.problems(value, inner, path)
            case inspect.EnumType() | inspect.LiteralType():
                return _choice(value, choices_of(kind), path)
            case _:
                return _scalar(value, kind, path)

    def _table(self, value: object, kind: inspect.StructType, path: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(path, f"is {_kind_of(value)}", f"write a section [{path}] with keys of its own")
            return
        table = cast("dict[str, object]", value)
        fields = {field.name: field for field in kind.fields}
        found: list[Problem] = []
        for name, inner in table.items():
            if name in fields:
                found += self.problems(inner, fields[name].type, join(path, name))
            else:
                found.append(self._unknown(name, inner, kind, path))
        for name, field in fields.items():
            if field.required and name not in table:
                found.append(_missing(join(path, name), name, field.type))
        yield from found or _own_rules(table, kind.cls, path)

    def _named_tables(self, value: object, kind: inspect.DictType, path: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(path, f"is {_kind_of(value)}", f"write sections [{path}.NAME]")
            return
        pattern = (kind.key_type.pattern if isinstance(kind.key_type, inspect.StrType) else None) or ""
        for name, table in cast("dict[str, object]", value).items():
            if not name.isprintable() or not re.search(pattern, name):
                yield Problem(join(path, name), *_NAME_RULES.get(pattern, _NAME_RULES[""]))
            yield from self.problems(table, kind.value_type, join(path, name))

    def _list(self, value: object, kind: inspect.VarTupleType, path: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(path, f"is {_kind_of(value)}", f"write {expected(kind)}")
            return
        for index, item in enumerate(cast("list[object]", value)):
            yield from self.problems(item, kind.item_type, f"{path}[{index}]")

    def _unknown(self, name: str, value: object, kind: inspect.StructType, path: str) -> Problem:
        known = [field.name for field in kind.fields]
        what = "section" if not path and isinstance(value, dict) else "key"
        near = get_close_matches(name.lower().replace("-", "_"), known, n=1)
        homes = [each for each in _homes(self._root).get(name, ()) if each != path]
        if homes:
            remedy = f"it belongs in {' or '.join(f'[{home}]' for home in homes)}"
        elif near:
            remedy = f"did you mean {near[0]}?"
        else:
            remedy = f"known here: {', '.join(known)}"
        return Problem(join(path, name), f"there is no such {what}", remedy)


def _missing(path: str, name: str, kind: inspect.Type) -> Problem:
    is_of_sections = isinstance(kind, inspect.DictType)
    remedy = f"write sections [{path}.NAME]" if is_of_sections else f"add a line {name} = {example_of(kind)}"
    return Problem(path, "is missing", remedy)


def choices_of(kind: inspect.EnumType | inspect.LiteralType) -> list[str]:
    """Give the texts that a key may hold."""
    if isinstance(kind, inspect.EnumType):
        return [str(member.value) for member in kind.cls]
    return [str(value) for value in kind.values]


def _choice(value: object, choices: list[str], path: str) -> Iterator[Problem]:
    if isinstance(value, str) and value in choices:
        return
    remedy = "write one of " + ", ".join(f'"{each}"' for each in choices)
    if not isinstance(value, str):
        yield Problem(path, f"is {_kind_of(value)}", remedy)
        return
    spellings = {each.lower(): each for each in choices}
    near = get_close_matches(value.lower(), spellings, n=1, cutoff=0.7)
    yield Problem(path, f"there is no {_show(value)}", f'did you mean "{spellings[near[0]]}"?' if near else remedy)


def _scalar(value: object, kind: inspect.Type, path: str) -> Iterator[Problem]:
    match kind:
        case inspect.StrType() if isinstance(value, str):
            yield from _text(value, kind, path)
        case inspect.IntType() if isinstance(value, int) and not isinstance(value, bool):
            yield from _number(value, kind, path)
        case inspect.FloatType() if isinstance(value, int | float) and not isinstance(value, bool):
            yield from _number(value, kind, path)
        case inspect.BoolType() if isinstance(value, bool):
            pass
        case _:
            yield Problem(path, f"is {_kind_of(value)}", f"write {expected(kind)}")


def _number(value: float, kind: Number, path: str) -> Iterator[Problem]:
    if not isinstance(value, int) and not math.isfinite(value):
        yield Problem(path, f"is {value}, which measures nothing", f"write {expected(kind)}")
    elif not is_in_range(value, kind):
        yield Problem(path, f"is {_show(value)}, out of range", f"write {expected(kind)}")


def _text(value: str, kind: inspect.StrType, path: str) -> Iterator[Problem]:
    if not value.isprintable():
        yield Problem(path, "holds a character that cannot be printed", "write plain text on one line")
    elif len(value) < (kind.min_length or 0):
        yield Problem(path, "is empty", f"write {expected(kind)}, or remove the line")
    elif kind.max_length is not None and len(value) > kind.max_length:
        yield Problem(path, f"has {len(value)} characters", f"write at most {kind.max_length}")


def _own_rules(table: dict[str, object], kind: type, path: str) -> Iterator[Problem]:
    """Have the struct check what one of its fields means for another."""
    try:
        msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        key, colon, rest = str(error).partition(": ")
        if not colon or " " in key:
            key, rest = "", str(error)
        reason, _, remedy = rest.partition("; ")
        where = ".".join(part for part in (path, key) if part)
        yield Problem(where, reason, remedy or "see config/reference.toml")


@cache
def _homes(root: type[msgspec.Struct]) -> dict[str, tuple[str, ...]]:
    """Give, for each key, the sections that have one of that name."""
    homes: dict[str, tuple[str, ...]] = {}
    for section in cast("inspect.StructType", inspect.type_info(root)).fields:
        kind, name = section.type, section.name
        if isinstance(kind, inspect.DictType):
            kind, name = kind.value_type, f"{name}.NAME"
        for field in kind.fields if isinstance(kind, inspect.StructType) else ():
            homes[field.name] = (*homes.get(field.name, ()), name)
    return homes


def _kind_of(value: object) -> str:
    return next((name for types, name in _KINDS if isinstance(value, types)), _ANYTHING_ELSE)


def _show(value: str | float) -> str:
    """Give a value as one short printable word or text."""
    if isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=not value.isprintable())
        return shown if len(shown) <= _MAX_SHOWN else f'{shown[:_MAX_SHOWN]}…"'
    if isinstance(value, int) and abs(value) >= 10**_MAX_SHOWN:
        return "a very large number" if value > 0 else "a very small number"
    return f"{value:g}" if isinstance(value, float) else str(value)
