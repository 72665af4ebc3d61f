"""`sottovoce` SHIFTED_DAYS days ago, for what has expired or is not valid yet: `python -m … init DIR`.

Its token processes are run by this module too, so that they live at the same time.
"""

import os
import sys
import time

SECONDS = int(os.environ["SHIFTED_DAYS"]) * 86_400

_now = time.time
time.time = lambda: _now() - SECONDS  # before anything of ours is imported

from sottovoce.app import initialise, token_process  # noqa: E402  the clock comes first
from sottovoce.cli import main  # noqa: E402
from sottovoce.hsm import run_token_process  # noqa: E402

_TOKEN = "token"

if __name__ == "__main__":
    if sys.argv[1] == _TOKEN:
        run_token_process(sys.argv[2:], token_process.compose)
    initialise.__dict__["COMMAND"] = (sys.executable, "-m", "tests.app.doctor.shifted_clock", _TOKEN)
    main()
