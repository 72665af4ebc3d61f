"""From a file and `--set` words to a `Scenario`, or to everything that is wrong with them, a line each."""

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import msgspec

from loadtest.scenario.rules import faults_of
from loadtest.scenario.shape import GROUP_KEYS, Scenario
from sottovoce.primitives import SottovoceError, one_line
from sottovoce.settings.errors import Problem
from sottovoce.settings.explain import problems_of

SHIPPED = Path(__file__).parents[1] / "scenarios"
_MAX_BYTES = 1 << 16
_FIELDS = frozenset(field.name for field in msgspec.structs.fields(Scenario))
_SET_EXAMPLE = "write --set groups.callers.calls=50"
_EXAMPLES = {"seconds": 20, "calls": 10, "at_seconds": 5, "until_seconds": 6}
"""A number for each key that must be there and is one."""
_TWICE = re.compile(r"Cannot (declare|overwrite|mutate|redefine)|Duplicate")
"""How the parser begins what it says of something that is there already."""
_NAMED = {"groups": "group", "phases": "phase", "outages": "outage"}
"""What a file gives names to, and what one of them is called."""


class ScenarioInvalid(SottovoceError):
    """A scenario cannot be used; the text is a line for each thing that is wrong, with its place and remedy."""


def shipped_scenarios() -> dict[str, Path]:
    """Give the scenarios that come with this, by name."""
    return {file.stem: file for file in sorted(SHIPPED.glob("*.toml"))}


def find_scenario(word: str) -> Path:
    """Give the file of a path, or of the name of one that comes with this.  Raises ScenarioInvalid."""
    path, shipped = Path(word), shipped_scenarios()
    if path.is_file():
        return path
    if word in shipped:
        return shipped[word]
    raise ScenarioInvalid(f"{one_line(word)}: there is no such file; give a path, or one of {', '.join(shipped)}")


def is_of_scenario(word: str) -> bool:
    """Whether a `--set` word is about the scenario, and not about the proxy's configuration."""
    return word.partition("=")[0].partition(".")[0].strip() in _FIELDS


def read_scenario(file: Path, changes: Iterable[str] = ()) -> Scenario:
    """Read, change, check.  Raises ScenarioInvalid."""
    table = _read(file)
    for word in changes:
        _apply(table, word)
    problems = dict.fromkeys((*map(_line, problems_of(table, Scenario)), *faults_of(table, GROUP_KEYS)))
    if problems:
        raise ScenarioInvalid("\n".join(f"{file}: {problem}" for problem in problems))
    return msgspec.convert(table, Scenario)


def _line(problem: Problem) -> str:
    """Give the line of a problem; a number that is missing is added as a number."""
    name = problem.path.rpartition(".")[2]
    if problem.reason == "is missing" and name in _EXAMPLES:
        return f"{problem.path}: is missing; add a line {name} = {_EXAMPLES[name]}"
    return str(problem)


def _read(file: Path) -> dict[str, object]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ScenarioInvalid(f"{file}: {error.strerror}; give the path of a file that can be read") from None
    if len(data) > _MAX_BYTES:
        raise ScenarioInvalid(f"{file}: has more than {_MAX_BYTES} bytes; give a scenario, not another file")
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, RecursionError):
        raise ScenarioInvalid(f"{file}: this is not TOML; write key = value lines and [groups.NAME] sections") from None
    except ValueError as error:
        reason, _, at = one_line(str(error)).partition(" (at ")
        place = f", {at.removesuffix(')')}" if at else ""
        remedy = "write it once" if _TWICE.match(reason) else "write key = value, and text in quotes"
        raise ScenarioInvalid(f"{file}{place}: this is not TOML: {reason}; {remedy}") from None


def _apply(table: dict[str, object], word: str) -> None:
    """Set one key of what is there; a value that is not TOML counts as text, so that quotes can be left out."""
    key, separator, text = word.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not separator or not all(names):
        raise ScenarioInvalid(f"--set {one_line(word)}: is not key=value; {_SET_EXAMPLE}")
    _refuse_other_names(table, names, key)
    for name in names[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ScenarioInvalid(f"--set {one_line(key)}: {name} holds a value and is no section; {_SET_EXAMPLE}")
        table = cast("dict[str, object]", inner)
    try:
        table[names[-1]] = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        table[names[-1]] = text.strip()


def _refuse_other_names(table: dict[str, object], names: list[str], key: str) -> None:
    """Have a group, phase or outage that the file has not be a mistake, and no further one."""
    if len(names) == 1 or names[0] not in _NAMED:
        return
    section = table.get(names[0])
    known = list(cast("dict[str, object]", section)) if isinstance(section, dict) else []
    if names[1] in known:
        return
    near = get_close_matches(names[1], known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"the file has {one_line(', '.join(known)) or 'none'}"
    raise ScenarioInvalid(f"--set {one_line(key)}: there is no {_NAMED[names[0]]} {one_line(names[1])}; {remedy}")
