"""`--help` without click, whose import takes three times as long as Python itself.

What click makes of it, of every command, is kept in a file beside the program.  `make reference` writes it, and a test
compares the two.
"""

import os
import sys
from collections.abc import Sequence

_HELP = ("--help", "-h")
_FILE = "help.txt"
_HEAD = "==="


def pages_text(program: str, pages: Sequence[tuple[str, str]]) -> str:
    """Give the file of pages: of each command its words and what `--help` says of it."""
    return "".join(f"{_HEAD} {program} {name}".rstrip() + f"\n{page}\n" for name, page in pages)


def print_page(module: str, program: str, words: Sequence[str]) -> bool:
    """Print the page that these words ask for, if they do, and it can be printed; it is kept beside `module`."""
    if not words or words[-1] not in _HELP:
        return False
    try:
        with open(os.path.join(os.path.dirname(module), _FILE), encoding="utf-8") as file:  # noqa: PTH118, PTH120, PTH123  pathlib is slow to import
            _, found, rest = f"\n{file.read()}".partition(f"\n{' '.join((_HEAD, program, *words[:-1]))}\n")
        if not found:
            return False
        page = rest.partition(f"\n{_HEAD} ")[0].rstrip("\n")
        sys.stdout.write(f"{page}\n")
        sys.stdout.flush()
    except (OSError, UnicodeError):
        return False
    return True
