"""The command line.  Thin: each command parses its words, calls `app`, and prints what comes of it."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

_STDERR = 2
_FIRST_PAGE = """\
Usage: sottovoce [OPTIONS] COMMAND [ARGS]...

  A voice proxy: audio sealed from the client to here, plaintext at the
  backend, vouched for by an HSM.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  init     Make a directory with a token, keys, certificates and a
           configuration.
  serve    Run the proxy.
  status   Say how a running proxy does, the worst first.
  top      Watch a running proxy: routes, calls, backends.
  check    Explain a configuration, without starting anything.
  call     Call a route: send a WAV file or a tone, keep what comes back.
  demo     Run the whole thing once, in a temporary directory, and show it.
  example  Print a sample to copy from: backends and clients, each as it runs.
  clients  Say who may call: add, list and revoke clients.
  anchor   Replace what clients know the proxy by, with overlap.
  audit    Verify or show the audit log.
  doctor   Find what is wrong with a machine, a directory or a proxy.
  explain  Say what a code, a fault or an event means, and what to do.
  inspect  Say what a file, a directory or a server is.

  First steps: sottovoce demo, or: sottovoce init DIR, then sottovoce serve
  DIR.
"""
"""What click makes of `--help` alone.  It stands here since importing click takes three times as long as Python itself;
a test compares the two."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _open_what_was_closed()
    if words in (["--help"], ["-h"]) and _print_first_page():
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


def _print_first_page() -> bool:
    try:
        sys.stdout.write(_FIRST_PAGE)
        sys.stdout.flush()
    except (OSError, UnicodeEncodeError):
        return False
    return True
