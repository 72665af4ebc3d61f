"""The token process of these commands, run by `COMMAND` with FD and PPID: tries the token, and keeps keys in it.

It issues nothing, signs nothing that could be used, and reaches the token's own keys only to prove that they are there.
"""

import sys
from collections.abc import Iterable
from typing import NoReturn

from sottovoce.hsm import Counts, Handler, Start, Worker, key_handlers, key_making_handlers, run_token_process
from sottovoce.hsm.trials import trial_handlers

_PROGRAM = "from sottovoce.app.hsm.token_child import main; main()"
"""Not `-m`: the package imports this module before it could be run as one."""
COMMAND = (sys.executable, "-P", "-c", _PROGRAM)


def compose(_: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    """Set up what this process answers; it makes and destroys keys only where it was opened for that."""
    making = key_making_handlers(counts) if start.change_keys else ()
    return [*trial_handlers(), *key_handlers(counts), *making]


def main() -> NoReturn:
    """Be the process."""
    run_token_process(sys.argv[1:], compose)
