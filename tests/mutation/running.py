"""A mutation run: copies of the tree, which tests run which line, and two workers that try one mutant after the other.

The tree that others work in is never touched: each worker has a copy, and tests see the copy by PYTHONPATH.

A mutant is tried first against the tests that run its line, quickest first; one that lives is tried against all tests
of `tests/wire` and `tests/session`, since what a test finds in a cache ran in another test's name.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from tests.mutation.operators import Mutant, mutants

ROOT = Path(__file__).parents[2]
PACKAGES = ("proxy/sottovoce/wire", "proxy/sottovoce/session")
TESTS = ("tests/wire", "tests/session")
WORKERS = 2
_COPIED = ("proxy", "tests", "loadtest", "docs", "config", "pyproject.toml")
_CHOSEN, _CASES = 150, 3
"""At most so many tests in the first stage, and of one function so many cases: variety finds more than number."""
_FIRST_SECONDS = 60.0
_ALL_SECONDS = 240.0


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    how: str
    """"failed" or "timeout": killed.  "": it lives."""
    stage: int | None

    @property
    def is_killed(self) -> bool:
        return bool(self.how)


class Coverage(NamedTuple):
    """Which tests run a line, and how long each test takes."""

    tests: list[str]
    lines: dict[str, dict[str, list[int]]]
    seconds: dict[str, float]
    failed: list[str]

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that run a mutant's line: a few cases of each test function, the quickest first."""
        numbers = self.lines.get(mutant.path, {}).get(str(mutant.line), ())
        names = sorted((self.tests[number] for number in numbers), key=lambda name: self.seconds.get(name, 0.0))
        cases: Counter[str] = Counter()
        chosen: list[str] = []
        for name in names:
            function = name.partition("[")[0]
            cases[function] += 1
            if cases[function] <= _CASES:
                chosen.append(name)
        return chosen[:_CHOSEN]


def copy_tree(into: Path) -> Path:
    """Copy what tests need."""
    for name in _COPIED:
        origin = ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, into / name, symlinks=True)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, into / name)
    return into


def environment(tree: Path, **more: str) -> dict[str, str]:
    """Have Python take the project from a copy."""
    return {**os.environ, "PYTHONPATH": f"{tree / 'proxy'}:{tree}", "PYTHONHASHSEED": "0", **more}


def all_mutants(tree: Path, only: Sequence[str] = ()) -> list[Mutant]:
    """Every mutant of the two packages, or of the files whose path holds one of the words."""
    found: list[Mutant] = []
    for package in PACKAGES:
        for file in sorted((tree / package).rglob("*.py")):
            path = str(file.relative_to(tree))
            if not only or any(word in path for word in only):
                found += mutants(path, file.read_text(encoding="utf-8"))
    return found


def trace(tree: Path) -> Coverage:
    """Run all tests once, and note which lines each runs."""
    output = tree / "trace.json"
    options = ["-q", "-p", "no:cacheprovider", "-p", "tests.mutation.quick", "-p", "tests.mutation.tracing"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--hypothesis-profile=mutation", *TESTS],
        cwd=tree,
        env=environment(tree, MUTATION_TRACE=str(output)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    return Coverage(**json.loads(output.read_text(encoding="utf-8")))


def run(
    scratch: Path, only: Sequence[str] = (), told: Callable[[Result], None] | None = None
) -> tuple[list[Result], Coverage]:
    """Try every mutant; `told` gets each result at once.

    Tests that fail without any change are left out, and are in `Coverage.failed`.
    """
    trees = [copy_tree(scratch / "0")]
    coverage = trace(trees[0])
    trees += [Path(shutil.copytree(trees[0], scratch / str(number))) for number in range(1, WORKERS)]
    orders = [(mutant, _order(mutant, coverage)) for mutant in all_mutants(trees[0], only)]
    free: SimpleQueue[_Worker] = SimpleQueue()
    for tree in trees:
        worker = _Worker(tree)
        control = worker.ask(_order(_unchanged(tree, orders), coverage))
        assert not control["how"], "the tests fail in a copy without any change"
        free.put(worker)

    def attempt(order: tuple[Mutant, str]) -> Result:
        worker = free.get()
        try:
            answer = worker.ask(order[1])
        finally:
            free.put(worker)
        result = Result(order[0], answer["how"], answer["killed"])
        if told is not None:
            told(result)
        return result

    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(attempt, orders)), coverage
    finally:
        for _ in trees:
            free.get().stop()


def summary(results: Iterable[Result]) -> dict[str, tuple[int, int]]:
    """(killed, all) of each kind."""
    counts: dict[str, tuple[int, int]] = {}
    for result in results:
        killed, total = counts.get(result.mutant.kind, (0, 0))
        counts[result.mutant.kind] = (killed + result.is_killed, total + 1)
    return counts


def _order(mutant: Mutant, coverage: Coverage) -> str:
    failing = {word for name in coverage.failed for word in ("--deselect", name)}
    deselect = [word for name in sorted(failing - {"--deselect"}) for word in ("--deselect", name)]
    chosen = [name for name in coverage.of(mutant) if name not in coverage.failed]
    stages = [{"tests": chosen, "seconds": _FIRST_SECONDS}] if chosen else []
    stages.append({"tests": [*TESTS, *deselect], "seconds": _ALL_SECONDS})
    return json.dumps({"path": mutant.path, "source": mutant.source, "stages": stages})


def _unchanged(tree: Path, orders: Sequence[tuple[Mutant, str]]) -> Mutant:
    """No mutant at all, where one stands: every test must pass with it, or no kill means anything."""
    mutant = orders[0][0]
    return mutant._replace(source=(tree / mutant.path).read_text(encoding="utf-8"))


class _Worker:
    """A process that tries mutants in its own copy of the tree."""

    def __init__(self, tree: Path) -> None:
        self._process = subprocess.Popen(
            ["nice", "-n", "5", sys.executable, "-m", "tests.mutation.worker"],
            cwd=tree,
            env=environment(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, order: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate()
