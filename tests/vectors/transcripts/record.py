"""Records transcripts of whole sessions: `python -m tests.vectors.transcripts.record` from the root of the checkout.

It writes those that are not there and touches none that is: an old transcript must replay for ever.  For something new
in the protocol add a scene to `scenes` and run it.
"""

import json
import lzma
import sys
from pathlib import Path

from tests.vectors.transcripts.scenes import SCENES

HERE = Path(__file__).parent


def main() -> None:
    """Write what is not there; with names, only those."""
    for name, scene in SCENES.items():
        path = HERE / f"{name}.json.xz"
        if path.exists() or (sys.argv[1:] and name not in sys.argv[1:]):
            continue
        text = json.dumps(scene(), separators=(",", ":")).replace('{"at"', '\n{"at"') + "\n"
        path.write_bytes(lzma.compress(text.encode()))
        sys.stderr.write(f"{name}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
