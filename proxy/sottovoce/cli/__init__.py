"""The command line.  Thin: each command parses its words, calls `app`, and prints what comes of it."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from sottovoce.cli.lazy.pages import print_page

_STDERR = 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _open_what_was_closed()
    if print_page(__file__, "sottovoce", words):
        sys.exit(0)
    from sottovoce.cli.tree import run_and_exit

    run_and_exit(words)


def _open_what_was_closed() -> None:
    """Where the shell closed a standard stream (`2>&-`), put the null device: no socket may get its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
