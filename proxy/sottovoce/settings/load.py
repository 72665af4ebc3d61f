"""From a TOML file and `--set` words to a `Configuration`, or to all that is wrong with them.

Each section is checked by itself, so that one run of `sottovoce check` shows every section's first problem.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast, get_type_hints

import msgspec

from sottovoce.edge import ListenerConfig
from sottovoce.relay import RouteConfig
from sottovoce.settings.configuration import Configuration
from sottovoce.settings.errors import ConfigurationInvalid, Problem
from sottovoce.settings.explain import explain

FILE_NAME = "sottovoce.toml"
MAX_FILE_BYTES = 1 << 20

Table = dict[str, object]
_TABLES_OF: Mapping[str, type[msgspec.Struct]] = {"listeners": ListenerConfig, "routes": RouteConfig}
"""Sections that hold any number of named tables of one kind."""


def find_file(place: Path) -> Path:
    """Give the configuration file: `place` itself, or the one in that directory.  Raises ConfigurationInvalid."""
    path = place / FILE_NAME if place.is_dir() else place
    if not path.is_file():
        remedy = f"make a directory with: sottovoce init {place}"
        raise ConfigurationInvalid([Problem(str(path), "there is no such file", remedy)])
    return path


def load(file: Path, changes: Iterable[str] = ()) -> Configuration:
    """Read a file, apply `key=value` words, and resolve paths.  Raises ConfigurationInvalid with every problem."""
    table = _read(file)
    for word in changes:
        _apply(table, word)
    return build(table).resolved(file.absolute().parent)


def build(table: Table) -> Configuration:
    """Check a parsed file.  Raises ConfigurationInvalid with the first problem of each section."""
    kinds = get_type_hints(Configuration)
    problems: list[Problem] = []
    for name, section in table.items():
        problems += _check_section(name, section, kinds)
    if not problems:
        try:
            return msgspec.convert(table, Configuration)
        except msgspec.ValidationError as error:
            problems.append(explain(error, "", Configuration))
    raise ConfigurationInvalid(problems)


def _check_section(name: str, section: object, kinds: Mapping[str, type]) -> Iterable[Problem]:
    if name in _TABLES_OF and isinstance(section, dict):
        for key, table in cast("Table", section).items():
            yield from _check(f"{name}.{key}", table, _TABLES_OF[name])
    elif name not in kinds:
        yield explain(msgspec.ValidationError(f"Object contains unknown field `{name}`"), "", Configuration)
    else:
        yield from _check(name, section, kinds[name])


def _check(path: str, value: object, kind: type) -> Iterable[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield explain(error, path, kind)


def _read(file: Path) -> Table:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        remedy = "give the path of a file that can be read"
        raise ConfigurationInvalid([Problem(str(file), error.strerror or "cannot be read", remedy)]) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationInvalid([Problem(str(file), f"has more than {MAX_FILE_BYTES} bytes", "give a smaller one")])
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise ConfigurationInvalid([Problem(str(file), "is no UTF-8 text", "save it as UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        remedy = 'write TOML: [section] lines, and key = value with text in "quotes"'
        raise ConfigurationInvalid([Problem(str(file), f"is no TOML: {error}", remedy)]) from None


def _apply(table: Table, word: str) -> None:
    """Set one key.  The value is TOML; what is no TOML counts as text, so that quotes can be left out."""
    key, separator, value = word.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        remedy = "write --set voice.epoch_seconds=60"
        raise ConfigurationInvalid([Problem(f"--set {word}", "is no key=value", remedy)])
    for name in names[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            remedy = f"{name} holds a value; write a key of a section"
            raise ConfigurationInvalid([Problem(f"--set {key}", "there is no such section", remedy)])
        table = cast("Table", inner)
    table[names[-1]] = _value(value.strip())


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
