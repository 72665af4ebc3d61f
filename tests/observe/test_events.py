"""Names of log events are an interface: unique, of one shape, and spelt like their constants."""

import re
from pathlib import Path

import pytest

from sottovoce.observe import events

NAMES = {constant: value for constant, value in vars(events).items() if constant.isupper()}


_ROOT = Path(__file__).parents[2]


def _text_below(folder: Path) -> str:
    others = (path for path in folder.rglob("*.py") if path.name not in {"events.py", Path(__file__).name})
    return "\n".join(path.read_text(encoding="utf-8") for path in others)


@pytest.mark.parametrize("constant", NAMES)
def test_each_name_is_used_and_some_test_meets_it(constant: str) -> None:
    assert f"events.{constant}" in _text_below(_ROOT / "proxy/sottovoce")
    tests = _text_below(_ROOT / "tests")
    assert f"events.{constant}" in tests or f'"{NAMES[constant]}"' in tests


def test_each_name_is_a_thing_and_what_happened_to_it() -> None:
    assert [name for name in NAMES.values() if not re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", name)] == []


def test_each_constant_is_spelt_like_its_name() -> None:
    assert [constant for constant, name in NAMES.items() if name.replace(".", "_") != constant.lower()] == []


def test_no_name_is_there_twice() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
