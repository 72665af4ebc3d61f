"""Runs all tests against one mutant after the other, each in a fork of a process that has only the libraries loaded.

`python -m tests.mutation.worker` in a copy of the tree takes lines of JSON, {path, source, tests, seconds}, and answers
each with a word, as `children.ask` gives it.  Nothing of the project is imported before the fork, so each child
compiles the mutant, and runs what a module does while it is imported, afresh.
"""

import json
import os
import sys
from pathlib import Path
from typing import TypedDict

import cryptography.hazmat.primitives.asymmetric.ec
import cryptography.x509
import hypothesis.stateful
import msgspec
import pytest
import trio.testing

from tests.mutation.children import ask

_PRELOADED = (cryptography, hypothesis, msgspec, trio)  # what a child would import each time
OPTIONS = (
    *("-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutation.quick", "--hypothesis-profile=mutation"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # the parent has imported plugins: they need no rewriting
)


class Order(TypedDict):
    """One mutant, the arguments of pytest, and how long that may take."""

    path: str
    source: str
    tests: list[str]
    seconds: float


def main() -> None:
    """Serve until standard input ends."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for line in sys.stdin:
        print(json.dumps(_try(json.loads(line))), flush=True)  # noqa: T201  the answer


def _try(order: Order) -> str:
    path = Path(order["path"])
    original, times = path.read_bytes(), path.stat()
    path.write_text(order["source"], encoding="utf-8")
    try:
        return ask(lambda: int(pytest.main([*OPTIONS, *order["tests"]])), order["seconds"])
    finally:
        path.write_bytes(original)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # what is compiled of the original is good again


if __name__ == "__main__":
    main()
