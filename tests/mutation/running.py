"""A mutation run: copies of the tree, which tests run which line, and two workers that try one mutant after the other.

The tree that others work in is never touched: tests see the copies, by PYTHONPATH.

Each mutant first meets the tests that run its line, quickest first, in forks of a session that is collected already
(`forking`).  One that lives is tried again by itself in a fresh process, with all tests of `tests/wire` and
`tests/session` (`worker`): a table that is made at import, or a test that ran in another one's name because of a cache,
may still find it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import IO, NamedTuple

from tests.mutation.operators import Mutant, mutants, switched

ROOT = Path(__file__).parents[2]
PACKAGES = ("proxy/sottovoce/wire", "proxy/sottovoce/session")
TESTS = ("tests/wire", "tests/session")
WORKERS = 2
_COPIED = ("proxy", "tests", "loadtest", "docs", "config", "pyproject.toml")
_CASES = 3
"""Of one test function so many cases come before all others: variety finds more than number."""
_CHOSEN = 3_000
"""So many tests at most before a mutant is tried with all of them."""
_LEAST_SECONDS = 5.0
_ALL_SECONDS = 180.0
_SWITCH = 'import os\n\nnumber = int(os.environ.get("MUTANT", "-1"))\n'
_PLUGINS = ("-p", "no:cacheprovider", "-p", "tests.mutation.quick", "--hypothesis-profile=mutation")
_PYTEST = (sys.executable, "-m", "pytest", "-q", *_PLUGINS)


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    how: str
    """"failed" or "timeout": killed.  "": it lives."""

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
        """The tests that run a mutant's line: first a few cases of each test function, then the rest, by quickness."""
        numbers = self.lines.get(mutant.path, {}).get(str(mutant.line), ())
        names = sorted((self.tests[number] for number in numbers), key=lambda name: self.seconds.get(name, 0.0))
        cases: Counter[str] = Counter()
        chosen: list[str] = []
        rest: list[str] = []
        for name in names:
            function = name.partition("[")[0]
            cases[function] += 1
            if name not in self.failed:
                (chosen if cases[function] <= _CASES else rest).append(name)
        return (chosen + rest)[:_CHOSEN]


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


def all_mutants(tree: Path) -> list[Mutant]:
    """Every mutant of the two packages."""
    return [mutant for file in _files(tree) for mutant in mutants(str(file.relative_to(tree)), file.read_text("utf-8"))]


def run(
    scratch: Path,
    only: Sequence[str] = (),
    told: Callable[[str], object] = bool,
    *,
    explained: Collection[str] = (),
) -> tuple[list[Result], Coverage]:
    """Try every mutant, or those of the files whose path holds one of the words.

    `told` gets a line for each that has lived through the first stage; the second, minutes for each, is spared those
    that are `explained`.  Tests that fail without any change are left out, and are in `Coverage.failed`.
    """
    plain = copy_tree(scratch / "plain")
    every = all_mutants(plain)
    wanted = [mutant for mutant in every if not only or any(word in mutant.path for word in only)]
    tree = _switched_tree(scratch / "switched", plain)
    coverage = _trace(plain)
    numbers = {mutant.name: number for number, mutant in enumerate(every)}

    first = [_forking(tree) for _ in range(WORKERS)]
    control = {"number": -1, "tests": [name for name in coverage.tests if name not in coverage.failed]}
    assert first[0].ask(control | {"seconds": _ALL_SECONDS}) == "", "the tests fail in a copy without any change"
    orders: list[Mapping[str, object]] = []
    for mutant in wanted:
        tests = coverage.of(mutant)
        seconds = _LEAST_SECONDS + 3 * sum(coverage.seconds.get(test, 0.0) for test in tests)
        orders.append({"number": numbers[mutant.name], "tests": tests, "seconds": seconds})
    hows = _spread(
        first, orders, lambda place, how: None if how else told(f"lives through the first stage: {wanted[place].name}")
    )

    alive = [mutant for mutant, how in zip(wanted, hows, strict=True) if not how and mutant.name not in explained]
    trees = [plain, *(Path(shutil.copytree(plain, scratch / f"plain{number}")) for number in range(1, WORKERS))]
    deselect = [f"--deselect={name}" for name in coverage.failed]
    again: list[Mapping[str, object]] = [
        {"path": mutant.path, "source": mutant.source, "tests": [*TESTS, *deselect], "seconds": _ALL_SECONDS}
        for mutant in alive
    ]
    late = dict(zip((mutant.name for mutant in alive), _spread([_fresh(tree) for tree in trees], again), strict=True))
    return [
        Result(mutant, how or late.get(mutant.name, "")) for mutant, how in zip(wanted, hows, strict=True)
    ], coverage


def summary(results: Iterable[Result]) -> dict[str, tuple[int, int]]:
    """(killed, all) of each kind."""
    counts: dict[str, tuple[int, int]] = {}
    for result in results:
        killed, total = counts.get(result.mutant.kind, (0, 0))
        counts[result.mutant.kind] = (killed + result.is_killed, total + 1)
    return counts


def _files(tree: Path) -> list[Path]:
    return [file for package in PACKAGES for file in sorted((tree / package).rglob("*.py"))]


def _environment(tree: Path, **more: str) -> dict[str, str]:
    """Have Python take the project from a copy."""
    return {**os.environ, "PYTHONPATH": f"{tree / 'proxy'}:{tree}", "PYTHONHASHSEED": "0", **more}


def _switched_tree(into: Path, plain: Path) -> Path:
    shutil.copytree(plain, into)
    (into / "proxy/mutation_switch.py").write_text(_SWITCH, encoding="utf-8")
    first = 0
    for file in _files(into):
        source = file.read_text("utf-8")
        file.write_text(switched(source, first), encoding="utf-8")
        first += len(mutants("", source))
    return into


def _trace(tree: Path) -> Coverage:
    """Run all tests once, and note which lines each runs."""
    output = tree / "trace.json"
    done = subprocess.run(
        [*_PYTEST, "-p", "tests.mutation.tracing", *TESTS],
        cwd=tree,
        env=_environment(tree, MUTATION_TRACE=str(output)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    return Coverage(**json.loads(output.read_text(encoding="utf-8")))


class _Worker:
    """A process that answers a line of JSON with a line of JSON."""

    def __init__(self, process: "subprocess.Popen[str]", answers: IO[str]) -> None:
        self._process = process
        self._answers = answers

    def ask(self, order: Mapping[str, object]) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return json.loads(self._answers.readline())

    def stop(self) -> None:
        self._process.communicate()
        self._answers.close()


def _fresh(tree: Path) -> _Worker:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mutation.worker"],
        cwd=tree,
        env=_environment(tree),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return _Worker(process, process.stdout)


def _forking(tree: Path) -> _Worker:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*_PYTEST, "-s", "-p", "tests.mutation.forking", *TESTS],
        cwd=tree,
        env=_environment(tree, MUTATION_ANSWERS=str(writing)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        pass_fds=(writing,),
    )
    os.close(writing)
    return _Worker(process, os.fdopen(reading))


def _spread(
    workers: Sequence[_Worker],
    orders: Iterable[Mapping[str, object]],
    told: Callable[[int, str], object] = lambda *_: None,
) -> list[str]:
    """Have each order answered by whoever is free; the workers end with the last one.

    `told` gets each answer at once, with the order's place.
    """
    free: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def attempt(place: int, order: Mapping[str, object]) -> str:
        worker = free.get()
        try:
            answer = worker.ask(order)
        finally:
            free.put(worker)
        told(place, answer)
        return answer

    try:
        with ThreadPoolExecutor(len(workers)) as pool:
            return list(pool.map(attempt, count(), orders))
    finally:
        for worker in workers:
            worker.stop()
