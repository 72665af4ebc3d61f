"""Runs files of test vectors and says at the end what was run: a pytest plugin.

    def test_it(vector_run: Callable[[str], VectorRun]) -> None:
        with vector_run("wycheproof/x25519_test.json") as run:
            for case in run.cases(…): run.check(case_id, right, positive=True)   or   run.skip("reason")

A case is *positive* when the right answer is to accept or to reproduce, *negative* when it is to refuse.  The block
fails at its end with the cases that were wrong, or when nothing at all was run.  A file without positives or without
negatives is said to have none: then it proves less than its name promises.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.gathering import all_of, gather

VECTORS = Path(__file__).parent / "vectors"

_runs = pytest.StashKey[list["VectorRun"]]()


class VectorRun:
    """The run of one file, or of the named part of one (`file#part`)."""

    def __init__(self, name: str) -> None:
        """`name` is a path below tests/vectors, with `#part` where several tests share a file."""
        self.name = name
        self.passed = 0
        self.wrong: list[str] = []
        self.skipped: Counter[str] = Counter()
        self.positives = 0
        self.negatives = 0

    def load(self) -> Any:
        """The file's content."""
        return json.loads((VECTORS / self.name.partition("#")[0]).read_text(encoding="utf-8"))

    def check(self, case: object, right: object, *, positive: bool) -> None:
        """Count one case that was run."""
        self.positives += positive
        self.negatives += not positive
        if right:
            self.passed += 1
        else:
            self.wrong.append(str(case))

    def skip(self, reason: str, count: int = 1) -> None:
        """Count cases that cannot be run, and why."""
        self.skipped[reason] += count

    @property
    def run(self) -> int:
        """How many were run."""
        return self.positives + self.negatives

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (self.wrong or not self.run):
            pytest.fail(f"{self.name}: {'wrong in ' + ', '.join(self.wrong) if self.wrong else 'nothing was run'}")

    def lines(self) -> list[str]:
        """One row of the table, and a line for each reason of a skip."""
        zero = [
            f"no {what}" for what, count in (("positives", self.positives), ("negatives", self.negatives)) if not count
        ]
        skipped = sum(self.skipped.values())
        row = f"{self.name:<58}{self.run:>6}{self.passed:>8}{skipped:>9}{self.positives:>11}{self.negatives:>11}"
        reasons = [f"    {count} skipped: {reason}" for reason, count in sorted(self.skipped.items())]
        return [f"{row}  {', '.join(zero)}".rstrip(), *reasons]


def pytest_configure(config: pytest.Config) -> None:
    runs = config.stash[_runs] = []
    gather(config, "vectors", lambda: [[run.name, run.lines()] for run in runs])


@pytest.fixture
def vector_run(request: pytest.FixtureRequest) -> Callable[[str], VectorRun]:
    """Begin the run of a file; it is reported even when it fails."""

    def begin(name: str) -> VectorRun:
        run = VectorRun(name)
        request.config.stash[_runs].append(run)
        return run

    return begin


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    runs = all_of(config, "vectors")
    if runs:
        terminalreporter.section("test vectors")
        terminalreporter.line(f"{'file':<58}{'run':>6}{'passed':>8}{'skipped':>9}{'positives':>11}{'negatives':>11}")
        for _, lines in sorted(runs):
            for line in lines:
                terminalreporter.line(line)
