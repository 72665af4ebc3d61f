"""The command line.  Thin: each command parses its words, calls `app`, and prints what comes of it."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

_STDERR = 2
_HELP = ("--help", "-h")
_PAGES = "help.txt"
"""What click makes of `--help`, of every command.  Importing click takes three times as long as Python itself, so that
`--help` is read from there.  `make reference` writes it, and a test compares the two."""
_HEAD = "=== sottovoce"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _open_what_was_closed()
    if words and words[-1] in _HELP and _print_page(words[:-1]):
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


def pages_text(pages: Sequence[tuple[str, str]]) -> str:
    """Give the file of pages: of each command its words and what `--help` says of it."""
    return "".join(f"{_HEAD} {name}".rstrip() + f"\n{page}\n" for name, page in pages)


def _print_page(words: Sequence[str]) -> bool:
    """Print a command's page, if these words are one, and it can be printed."""
    try:
        with open(os.path.join(os.path.dirname(__file__), _PAGES), encoding="utf-8") as file:  # noqa: PTH118, PTH120, PTH123  pathlib is slow to import
            _, found, rest = f"\n{file.read()}".partition(f"\n{' '.join((_HEAD, *words))}\n")
        if not found:
            return False
        page = rest.partition(f"\n{_HEAD}")[0].rstrip("\n")
        sys.stdout.write(f"{page}\n")
        sys.stdout.flush()
    except (OSError, UnicodeError):
        return False
    return True
