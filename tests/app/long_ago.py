"""`sottovoce` ten days ago, for tests of what has expired: `python -m tests.app.long_ago init DIR …`.

Its token processes are run by this module too, so that they live at the same time.
"""

import sys
import time

TEN_DAYS = 10 * 24 * 3600

_now = time.time
time.time = lambda: _now() - TEN_DAYS  # before anything of ours is imported

from sottovoce.app import initialise, token_process  # noqa: E402  the clock comes first
from sottovoce.app.serving import parts  # noqa: E402
from sottovoce.cli import main  # noqa: E402
from sottovoce.hsm import run_token_process  # noqa: E402

_TOKEN = "token"

if __name__ == "__main__":
    if sys.argv[1] == _TOKEN:
        run_token_process(sys.argv[2:], token_process.compose)
    for module in (initialise, parts):
        module.__dict__["COMMAND"] = (sys.executable, "-m", "tests.app.long_ago", _TOKEN)
    main()
