"""`python -m tests.firstrun [developer|operator] [--fresh]`: the first five minutes, as a stranger has them.

With --fresh the first line is run, too: a clone of this checkout's last commit, and `make setup`, which takes minutes.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.firstrun.stranger import Lost, Stranger
from tests.firstrun.transcript import NAMES, read


def main(words: list[str]) -> int:
    """Type each transcript that is named, or all; give the exit status."""
    wanted = [word for word in words if word != "--fresh"] or list(NAMES)
    if unknown := set(wanted) - set(NAMES):
        print(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)  # noqa: T201
        return 2
    for name in wanted:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as home:
            try:
                with Stranger(Path(home), print).typing(read(name), is_fresh="--fresh" in words):
                    pass
            except Lost as lost:
                print(f"{name}: lost: {lost}", file=sys.stderr)  # noqa: T201
                return 1
        print(f"{name}: {len(read(name))} commands, {time.monotonic() - began:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
