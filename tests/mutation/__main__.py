"""`python -m tests.mutation [WORD…]`: try the mutants of the files whose path holds one of the words, and tell."""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.mutation.running import run, summary


def main(words: list[str]) -> int:
    """Print each mutant that lives, then the counts."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        results, coverage = run(Path(scratch), words, partial(print, flush=True))
    for test in coverage.failed:
        print(f"fails without any change: {test}")  # noqa: T201
    alive = [result.mutant for result in results if not result.is_killed]
    for mutant in alive:
        print(f"{mutant.path}:{mutant.line}\n    {mutant.name}")  # noqa: T201
    for kind, (killed, total) in sorted(summary(results).items()):
        print(f"{kind}: {killed} of {total} killed")  # noqa: T201
    slow, seconds = sum(result.how == "timeout" for result in results), time.monotonic() - began
    print(f"{len(results) - len(alive)} of {len(results)} killed ({slow} by time), {seconds:.0f} s")  # noqa: T201
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
