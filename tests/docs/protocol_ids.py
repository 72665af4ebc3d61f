"""Reads the ids of docs/protocol.md and the ids that tests claim to prove.

An id is defined where it stands in brackets, `[P2.5]`.  A test claims ids with `@pytest.mark.protocol("P2.5", …)`; the
claims are read from the syntax tree, so a test need not be importable to be counted.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_DEFINITION = re.compile(r"\[(P\d+\.\d+)\]")
_NAME = re.compile(r"\bP\d+\.\d+\b")
_NOT_COVERED = "\n## 12. Not yet covered\n"


def defined_ids(text: str) -> Counter[str]:
    """Every id that the text defines, with how often it does."""
    return Counter(_DEFINITION.findall(text))


def uncovered_ids(text: str) -> set[str]:
    """The ids in the last column of the table of what is not built yet."""
    rows = [line for line in text.partition(_NOT_COVERED)[2].splitlines() if line.startswith("| ")]
    return {name for row in rows for name in _NAME.findall(row.split("|")[3])}


def claims_in(source: str) -> Iterator[tuple[int, str]]:
    """(line, id) for each id given to a protocol marker.  An argument that is no literal is given as its source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.protocol"):
            for argument in node.args:
                value = argument.value if isinstance(argument, ast.Constant) else None
                yield node.lineno, value if isinstance(value, str) else ast.unparse(argument)


def claims_under(folder: Path) -> dict[str, list[str]]:
    """Id to the places, `file:line`, that claim it."""
    claims: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*.py")):
        for line, name in claims_in(file.read_text(encoding="utf-8")):
            claims.setdefault(name, []).append(f"{file.relative_to(folder)}:{line}")
    return claims
