"""docs/threats.md names tests that are there, and has a row for each attack of docs/protocol.md §11."""

import ast
import re
from pathlib import Path

from tests.docs.protocol_ids import claims_in, defined_ids, uncovered_ids

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the first table below a heading."""
    section = TEXT.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def named_in(row: list[str]) -> list[tuple[str, str]]:
    """The tests of a row's last cell: (file, function)."""
    return _TEST.findall(row[-1])


def names_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_each_test_that_is_named_is_there() -> None:
    missing: list[str] = []
    for name, test in _TEST.findall(TEXT):
        path = ROOT / "tests" / name
        if not path.is_file() or test not in names_in(path):
            missing.append(f"{name}::{test}")
    assert missing == []


def test_whatever_looks_like_a_test_is_one_that_was_checked() -> None:
    assert TEXT.count("::") == len(_TEST.findall(TEXT))


def test_each_attack_of_the_protocol_has_one_row() -> None:
    attacks = [name for name in defined_ids(PROTOCOL) if name.startswith("P11.")]
    later = {name for name in uncovered_ids(PROTOCOL) if name.startswith("P11.")}
    here = [row[0] for row in rows("Attacks on the voice protocol")]
    assert here == [name for name in attacks if name not in later]
    assert {row[0] for row in rows("Arrives with the next issue")} == later


def test_each_attack_has_a_defence_and_a_test_and_each_id_once() -> None:
    table = rows("Attacks on the voice protocol") + rows("Attacks around it")
    ids = [row[0] for row in table]
    assert len(set(ids)) == len(ids)
    for name, attack, defence, _ in table:
        assert attack, name
        assert defence, name
    assert [row[0] for row in table if not named_in(row)] == []


def test_the_tests_of_an_attack_claim_it() -> None:
    """A file of each row has a marker with the attack's id."""
    for row in rows("Attacks on the voice protocol"):
        files = {ROOT / "tests" / name for name, _ in named_in(row)}
        assert any(row[0] in {name for _, name in claims_in(file.read_text(encoding="utf-8"))} for file in files), row
