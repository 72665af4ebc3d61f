"""`python -m tests.mutation [WORD…]`: try the mutants of the files whose path holds one of the words, and tell."""

import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.running import Result, run, summary


def main(words: list[str]) -> int:
    """Print each mutant that lives, then the counts."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        results, coverage = run(Path(scratch), words, _tell)
    for test in coverage.failed:
        print(f"fails without any change: {test}")  # noqa: T201
    alive = [result.mutant for result in results if not result.is_killed]
    for kind, (killed, total) in sorted(summary(results).items()):
        print(f"{kind}: {killed} of {total} killed")  # noqa: T201
    slow, seconds = sum(result.how == "timeout" for result in results), time.monotonic() - began
    print(f"{len(results) - len(alive)} of {len(results)} killed ({slow} by time), {seconds:.0f} s")  # noqa: T201
    return 1 if alive else 0


def _tell(result: Result) -> None:
    if not result.is_killed:
        print(f"{result.mutant.path}:{result.mutant.line}\n    {result.mutant.name}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
