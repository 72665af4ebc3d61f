"""From a TOML file and `--set` words to a `Configuration`, or to all that is wrong with them."""

import re
import shlex
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import msgspec

from sottovoce.settings.configuration import Configuration
from sottovoce.settings.errors import ConfigurationInvalid, Problem
from sottovoce.settings.explain import problems_of

FILE_NAME = "sottovoce.toml"
MAX_FILE_BYTES = 1 << 20
_MAX_SHOWN = 200

Table = dict[str, object]
_SET_EXAMPLE = "write --set voice.epoch_seconds=60"
_MAKE_ONE = "give a directory made by: sottovoce init DIR"


def find_file(place: Path) -> Path:
    """Give the configuration file: `place` itself, or the one in that directory.  Raises ConfigurationInvalid."""
    try:
        path = place / FILE_NAME if place.is_dir() else place
        if path.is_file():
            return path
        reason, remedy = "there is no such file", _MAKE_ONE
        if path is place and not place.exists() and not place.suffix:
            reason, remedy = "there is no such directory", f"make it with: sottovoce init {shlex.quote(str(place))}"
    except OSError as error:
        path, reason = place, error.strerror or "cannot be read"
        remedy = "run as the user who owns it" if isinstance(error, PermissionError) else _MAKE_ONE
    raise _invalid(str(path), reason, remedy)


def load(file: Path, changes: Iterable[str] = ()) -> Configuration:
    """Read a file, apply `key=value` words, and resolve paths.  Raises ConfigurationInvalid with every problem."""
    table = _read(file)
    for word in changes:
        _apply(table, word)
    return build(table).resolved(file.absolute().parent)


def build(table: Table) -> Configuration:
    """Check a parsed file.  Raises ConfigurationInvalid with every problem."""
    if problems := problems_of(table, Configuration):
        raise ConfigurationInvalid(problems)
    return msgspec.convert(table, Configuration)


def _read(file: Path) -> Table:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _invalid(
            str(file), error.strerror or "cannot be read", "give the path of a file that can be read"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise _invalid(str(file), f"has more than {MAX_FILE_BYTES} bytes", "give the configuration, not another file")
    try:
        text = data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise _invalid(str(file), "is not UTF-8 text", "save it as UTF-8") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        at = re.search(r"(.*) \(at (line .*)\)", str(error)) if isinstance(error, tomllib.TOMLDecodeError) else None
        reason = f"{at[2]}: this is not TOML ({at[1]})" if at else "this is not TOML"
    raise _invalid(str(file), reason, 'write [section] lines, and key = value lines with text in "quotes"')


def _apply(table: Table, word: str) -> None:
    """Set one key.  The value is TOML; what is not TOML counts as text, so that quotes can be left out."""
    key, separator, value = word.partition("=")
    names = _names(key.strip())
    if not separator or not all(names):
        raise _invalid(f"--set {_shown(word)}", "is not key=value", _SET_EXAMPLE)
    for name in names[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            remedy = f"{_shown(name)} holds a value and is no section; {_SET_EXAMPLE}"
            raise _invalid(f"--set {_shown(key)}", "there is no such key", remedy)
        table = cast("Table", inner)
    table[names[-1]] = _value(value.strip())


def _names(key: str) -> list[str]:
    """Take a dotted key apart as TOML does, so that a name may be quoted: `routes."v1.bot".url`."""
    names: list[str] = []
    try:
        rest: object = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return key.split(".")
    while isinstance(rest, dict):
        table = cast("Table", rest)
        if len(table) != 1:
            return [""]
        name, rest = next(iter(table.items()))
        names.append(name)
    return names


def _value(text: str) -> object:
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _shown(word: str) -> str:
    """Give a word of the command line as it fits into a line."""
    return _printable(word)[:_MAX_SHOWN]


def _invalid(path: str, reason: str, remedy: str) -> ConfigurationInvalid:
    return ConfigurationInvalid([Problem(_printable(path), reason, remedy)])
