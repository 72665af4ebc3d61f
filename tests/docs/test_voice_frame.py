"""docs/voice-frame.md names files and functions that are there, in the order of architecture."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "proxy" / "sottovoce"
TEXT = (ROOT / "docs" / "voice-frame.md").read_text(encoding="utf-8")
_CODE = re.compile(r"`([^`]+)`")
_STEPS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)
]


def names_in(path: Path) -> set[str]:
    """The module's functions and classes, and methods as `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


def test_both_directions_are_told() -> None:
    assert [step[0] for step in _STEPS] == [str(number) for number in (*range(1, 17), *range(1, 14))]


@pytest.mark.parametrize("step", _STEPS, ids=lambda step: f"{step[0]}-{step[1].strip('`')}")
def test_a_step_is_one_file_with_the_names_it_tells(step: list[str]) -> None:
    (file,) = _CODE.findall(step[1])
    names = _CODE.findall(step[2])
    assert names
    assert set(names) - names_in(PACKAGE / file) == set()


def test_paths_and_names_in_the_text_are_there() -> None:
    for code in _CODE.findall(TEXT):
        if code.endswith(".py"):
            assert (PACKAGE / code).is_file() or (ROOT / code).is_file(), code
    voice = names_in(PACKAGE / "edge" / "voice.py")
    assert {code for code in _CODE.findall(TEXT) if code.startswith("VoiceCall.")} - voice == set()


def test_the_path_passes_the_packages_in_the_order_of_architecture() -> None:
    packages = [step[1].strip("`").partition("/")[0] for step in _STEPS]
    way_in, way_out = packages[:16], packages[16:]
    assert list(dict.fromkeys(way_in)) == ["transport", "plane", "session", "primitives", "wire", "relay"]
    assert list(dict.fromkeys(way_out)) == ["relay", "transport", "edge", "plane", "session"]
