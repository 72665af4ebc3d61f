"""`sottovoce` in eight days, as far as an anchor's retirement looks at the clock."""

import time

from sottovoce.app.anchors import replacing
from sottovoce.cli import main

EIGHT_DAYS = 8 * 86_400

if __name__ == "__main__":
    setattr(replacing, "wall", lambda: time.time() + EIGHT_DAYS)  # noqa: B010  a constant, for everybody else
    main()
